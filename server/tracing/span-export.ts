import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, type Context } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  RandomIdGenerator,
  type IdGenerator,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import type { Log } from '../logging/log.js';
import type { DeliverySpan, PublishSpan, SpanSink } from './span-sink.js';

export interface SpanExportSettings {
  /** Base address of a collector (OTLP over HTTP); spans are posted to `/v1/traces` under it. */
  readonly endpoint: string;
  readonly replicaId: string;
  readonly version: string;
}

export interface SpanExportCounts {
  exported: number;
  /** Spans that the collector did not accept; they are lost. */
  failed: number;
}

/** Failed exports are logged at most this often, in milliseconds. */
const logMs = 60_000;
const exportTimeoutMs = 5000;
/** `ExportResultCode.SUCCESS` of OpenTelemetry. */
const exportSucceeded = 0;

/**
 * Exports traced messages to OpenTelemetry. The id of a message, a UUID, is the trace id, and its second half
 * is the id of the first span. So the spans of all replicas join one trace without a propagated context.
 */
export class SpanExport implements SpanSink {
  readonly counts: SpanExportCounts = { exported: 0, failed: 0 };
  private readonly ids = new ChosenIds();
  private readonly provider: BasicTracerProvider;
  private loggedAt = -Infinity;

  constructor(
    private readonly dependencies: { readonly log: Log; readonly monotonicNow: () => number },
    private readonly settings: SpanExportSettings,
  ) {
    const url = `${withoutEndSlashes(settings.endpoint)}/v1/traces`;
    this.provider = new BasicTracerProvider({
      sampler: new AlwaysOnSampler(),
      idGenerator: this.ids,
      resource: resourceFromAttributes({
        'service.name': 'realtime-communication',
        'service.version': settings.version,
        'service.instance.id': settings.replicaId,
      }),
      spanProcessors: [
        new BatchSpanProcessor(
          this.counting(new OTLPTraceExporter({ url, timeoutMillis: exportTimeoutMs })),
          {
            scheduledDelayMillis: 1000,
            exportTimeoutMillis: exportTimeoutMs,
          },
        ),
      ],
    });
  }

  published({ id, command, target, userId, connectionId, wire, events, failure }: PublishSpan): void {
    const startTime = events[0]!.at;
    this.ids.next = { traceId: traceIdOf(id), spanId: spanIdOf(id) };
    const span = this.tracer.startSpan(
      `${command} ${target}`,
      {
        kind: SpanKind.PRODUCER,
        root: true,
        startTime,
        attributes: {
          'messaging.system': 'realtime-communication',
          'messaging.operation.name': command,
          'messaging.destination.name': target,
          'messaging.message.id': id,
          'enduser.id': userId,
          'rtc.connection_id': connectionId,
          'rtc.wire': wire,
        },
      },
      ROOT_CONTEXT,
    );
    this.ids.next = undefined;
    for (const { stage, at } of events) span.addEvent(stage, at);
    if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
    span.end();
  }

  delivered({ messageId, startAt, endAt, details }: DeliverySpan): void {
    const { topic, connections } = details;
    const span = this.tracer.startSpan(
      `deliver${typeof topic === 'string' ? ` ${topic}` : ''}`,
      {
        kind: SpanKind.CONSUMER,
        startTime: startAt,
        attributes: {
          'messaging.system': 'realtime-communication',
          'messaging.operation.name': 'deliver',
          'messaging.message.id': messageId,
          'rtc.replica_id': this.settings.replicaId,
          ...(typeof topic === 'string' && { 'messaging.destination.name': topic }),
          ...(typeof connections === 'number' && { 'rtc.connections': connections }),
        },
      },
      contextOf(messageId),
    );
    span.end(endAt);
  }

  /** Exports all waiting spans. Never rejects. */
  async close(): Promise<void> {
    await this.provider.shutdown().catch(() => {});
  }

  private get tracer() {
    return this.provider.getTracer('realtime-communication');
  }

  private counting(exporter: SpanExporter): SpanExporter {
    return {
      export: (spans, done) =>
        exporter.export(spans, (result) => {
          if ((result.code as number) === exportSucceeded) this.counts.exported += spans.length;
          else this.onFailure(spans, result.error);
          done(result);
        }),
      shutdown: () => exporter.shutdown(),
      forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    };
  }

  private onFailure(spans: readonly ReadableSpan[], error: Error | undefined): void {
    const { log, monotonicNow } = this.dependencies;
    this.counts.failed += spans.length;
    if (monotonicNow() < this.loggedAt + logMs) return;
    this.loggedAt = monotonicNow();
    log.warn('Spans not exported', { spans: spans.length, error });
  }
}

/** Assigns given ids to the next span; the others get random ids. */
class ChosenIds implements IdGenerator {
  next: { readonly traceId: string; readonly spanId: string } | undefined;
  private readonly random = new RandomIdGenerator();

  readonly generateSpanId = (): string => this.next?.spanId ?? this.random.generateSpanId();
  readonly generateTraceId = (): string => this.next?.traceId ?? this.random.generateTraceId();
}

function traceIdOf(messageId: string): string {
  return messageId.replaceAll('-', '');
}

function spanIdOf(messageId: string): string {
  return traceIdOf(messageId).slice(16);
}

function contextOf(messageId: string): Context {
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: traceIdOf(messageId),
    spanId: spanIdOf(messageId),
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  });
}

function withoutEndSlashes(url: string): string {
  let end = url.length;
  while (url[end - 1] === '/') end--;
  return url.slice(0, end);
}
