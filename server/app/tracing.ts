import type { Settings } from '../config/schema.js';
import type { ReplicatedMap } from '../cluster/replicated-map.js';
import type { LogFactory } from '../logging/log.js';
import { MessageTracer } from '../tracing/message-tracer.js';
import type { SpanExportCounts } from '../tracing/span-export.js';
import { TraceRules } from '../tracing/trace-rules.js';
import { version } from '../../shared/version.js';

/** What traces are made of. */
export interface TracingParts {
  readonly settings: Settings;
  readonly replicaId: string;
  /** The map of operators' switches. */
  readonly switches: ReplicatedMap;
  readonly logOf: LogFactory;
}

/** The traces of a replica. */
export interface Tracing {
  readonly tracer: MessageTracer;
  readonly rules: TraceRules;
  readonly spans: () => SpanExportCounts;
  /** Begins to export, where there is a collector to export to. */
  open(): Promise<void>;
  /** Exports what waits. */
  close(): Promise<void>;
}

/** Puts message traces together. OpenTelemetry is loaded only where it is used. */
export function assembleTracing({ settings, replicaId, switches, logOf }: TracingParts): Tracing {
  const { samplePerSec, forcedPerSec, ringSize, otlpEndpoint: endpoint } = settings.tracing;
  const now = Date.now;
  const monotonicNow = () => performance.now();
  const rules = new TraceRules({ map: switches, now });
  const tracer = new MessageTracer(
    { rules, replicaId, now, monotonicNow },
    { samplePerSec, forcedPerSec, ringSize },
  );
  let exporting: { readonly counts: SpanExportCounts; close(): Promise<void> } | undefined;
  return {
    tracer,
    rules,
    spans: () => exporting?.counts ?? { exported: 0, failed: 0 },
    open: async () => {
      if (endpoint === undefined) return;
      const { SpanExport } = await import('../tracing/span-export.js');
      const sink = new SpanExport({ log: logOf('tracing'), monotonicNow }, { endpoint, replicaId, version });
      tracer.exportTo(sink);
      exporting = sink;
    },
    close: async () => {
      rules.close();
      await exporting?.close();
    },
  };
}
