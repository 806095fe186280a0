import { version } from '../../shared/version.js';
import type { ReplicatedMap } from '../cluster/replicated-map.js';
import type { Settings } from '../config/schema.js';
import type { LogFactory } from '../logging/log.js';
import { DeliveryRecord } from '../tracing/delivery-record.js';
import { RecentRefusals } from '../tracing/recent-refusals.js';
import { CollectorExport } from '../tracing/collector-export.js';
import { MessageTracer } from '../tracing/message-tracer.js';
import { TraceRules } from '../tracing/trace-rules.js';

/** Parts that tracing needs. */
interface TracingParts {
  readonly settings: Settings;
  readonly replicaId: string;
  /** The map of the runtime control. */
  readonly switches: ReplicatedMap;
  readonly logOf: LogFactory;
}

/** The traces of a replica. */
export interface Tracing {
  readonly tracer: MessageTracer;
  readonly rules: TraceRules;
  readonly spans: CollectorExport;
  /** What became of subscribers that are not there any more. */
  readonly record: DeliveryRecord;
  readonly refusals: RecentRefusals;
}

/** Assembles message traces. */
export function assembleTracing({ settings, replicaId, switches, logOf }: TracingParts): Tracing {
  const { samplePerSec, forcedPerSec, userForcedPerSec, ringSize, otlpEndpoint: endpoint } = settings.tracing;
  const monotonicNow = () => performance.now();
  const rules = new TraceRules({ map: switches, now: Date.now });
  const tracer = new MessageTracer(
    { rules, replicaId, now: Date.now, monotonicNow },
    { samplePerSec, forcedPerSec, userForcedPerSec, ringSize },
  );
  const spans = new CollectorExport(
    { tracer, log: logOf('tracing'), monotonicNow },
    { endpoint, replicaId, version },
  );
  return {
    tracer,
    rules,
    spans,
    record: new DeliveryRecord({ now: Date.now }),
    refusals: new RecentRefusals({ now: Date.now }),
  };
}
