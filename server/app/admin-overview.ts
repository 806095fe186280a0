import { getHeapStatistics } from 'node:v8';
import { version } from '../../shared/version.js';
import { BusiestTopics } from '../admin/overview/busiest-topics.js';
import { FigureSamples, sampleSecs } from '../admin/overview/figure-samples.js';
import { OverviewOperations } from '../admin/overview/overview-operations.js';
import { Overview } from '../admin/overview/overview.js';
import { ReplicaDepartures } from '../admin/overview/replica-departures.js';
import { problemsOf } from '../http/health.js';
import type { Phase } from '../protocol/phase.js';
import { knowsSwitches, type Foundation } from './foundation.js';
import type { Messaging } from './messaging.js';

interface OverviewParts extends Foundation, Messaging {
  readonly phase: () => Phase;
}

/** Message of a replica that stops: the others do not take it for one that has crashed. */
const leaving = 'replica_leaving';

/** Assembles the first screen of the console: samples, the answer of this replica, and what is made of all answers. */
export function assembleOverview(parts: OverviewParts): { overview: Overview; close: () => void } {
  const { settings, metrics, storage, topics, control, supervision, replicaId, phase } = parts;
  let utilization = performance.eventLoopUtilization();
  const busy = () => {
    const before = utilization;
    utilization = performance.eventLoopUtilization();
    return performance.eventLoopUtilization(utilization, before).utilization;
  };
  const samples = new FigureSamples({ metrics: () => metrics.document(), busy, now: Date.now });
  const busiest = new BusiestTopics({
    activeTopics: () => topics.activeTopics(),
    now: () => performance.now(),
  });
  const departures = new ReplicaDepartures({ liveReplicas: () => storage.bus.replicas(), now: Date.now });
  storage.bus.on(leaving, (_data, from) => departures.expect(from));
  new OverviewOperations(
    {
      metrics: () => metrics.document(),
      problems: () =>
        problemsOf({
          redis: () => storage.redis(),
          control: () => control.state.snapshot(),
          phase,
          knowsSwitches: () => knowsSwitches(parts),
        }),
      samples,
      topics: busiest,
    },
    {
      version,
      connectionsLimit: settings.websocket.maxConnections,
      heapLimitBytes: getHeapStatistics().heap_size_limit,
    },
  ).serve(control.cluster);
  const timer = setInterval(() => {
    samples.take();
    busiest.forget();
    void departures.look().catch(() => {});
  }, sampleSecs * 1000).unref();
  const overview = new Overview({
    cluster: control.cluster,
    control: control.state,
    userLimits: control.userLimits,
    alerts: supervision.alerts,
    departures,
    replicaId,
    now: Date.now,
  });
  control.state.onChange(() => overview.forget());
  return {
    overview,
    close: () => {
      clearInterval(timer);
      storage.bus.broadcast(leaving, null);
    },
  };
}
