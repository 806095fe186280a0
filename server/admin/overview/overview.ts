import type { ControlSnapshot } from '../../control/control-state.js';
import type { Alert, Alerts } from '../../supervision/alerts.js';
import { listActors } from '../actors/actor-operations.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { deliveriesPerSec, mergeBusiest } from './busiest-topics.js';
import { mergeSamples, sampleSecs } from './figure-samples.js';
import { openAlerts } from './open-alerts.js';
import { replicaOverview, type ReplicaOverview } from './overview-operations.js';
import type { ReplicaDepartures } from './replica-departures.js';
import { judge } from './verdict.js';

interface OverviewDependencies {
  readonly cluster: ClusterOperations;
  readonly control: { snapshot(): ControlSnapshot };
  /** Limits of single users. */
  readonly userLimits: { list(): readonly unknown[] };
  readonly alerts: Pick<Alerts, 'latest'>;
  readonly departures: ReplicaDepartures;
  /** Name of this replica. */
  readonly replicaId: string;
  readonly now: () => number;
}

/** Several consoles that ask within this time share one answer. */
const sharedMs = 1000;
const alertsRead = 100;
const alertsShown = 10;
const frozenShown = 100;

/** The first screen of the console, in one answer. */
export class Overview {
  private answer: Promise<Awaited<ReturnType<Overview['gather']>>> | undefined;
  private askedAt = -Infinity;
  private readonly firstSeen = new Map<string, number>();

  constructor(private readonly dependencies: OverviewDependencies) {}

  /** Something has changed that operators wait to see: the next answer is a new one. */
  forget(): void {
    this.answer = undefined;
  }

  /** At most a second old. */
  read(): ReturnType<Overview['gather']> {
    const now = performance.now();
    if (this.answer !== undefined && now - this.askedAt < sharedMs) return this.answer;
    this.askedAt = now;
    return (this.answer = this.gather());
  }

  private async gather() {
    const { cluster, control, userLimits, alerts, departures, replicaId, now } = this.dependencies;
    const [{ answers, unresponsive, outdated }, latest] = await Promise.all([
      cluster.ask(replicaOverview, null),
      alerts.latest(alertsRead),
    ]);
    // Without a look, what is known of departures is a few seconds old.
    await departures.look().catch(() => {});
    const replicas = answers
      .map(({ answer }) => answer)
      .sort((one, other) => (one.metrics.replica_id < other.metrics.replica_id ? -1 : 1));
    const stopped = await this.stoppedActors(replicas);
    const at = now();
    const stoppedIds = new Set(stopped.map(({ actor_id: id }) => id));
    const open = openAlerts(latest, { now: at, stoppedActors: stoppedIds });
    const silent = unresponsive.filter((name) => !outdated.includes(name));
    const verdict = judge(
      { replicas, silent, departed: departures.list(), openAlerts: open, stoppedActors: stopped },
      this.since(at),
    );
    const { frozen_topics: frozen, switched, ...switches } = control.snapshot();
    const frozenNames = new Set(frozen);
    return {
      at,
      answered_by: replicaId,
      verdict,
      figures: figuresOf(replicas),
      history: { step_secs: sampleSecs, samples: mergeSamples(replicas.map(({ samples }) => samples)) },
      control: {
        ...switches,
        frozen_topics: frozen.slice(0, frozenShown),
        frozen: frozen.length,
        limited_users: userLimits.list().length,
        switched: Object.fromEntries(Object.entries(switched).slice(0, frozenShown)),
      },
      replicas: replicas.map(rowOf),
      silent_replicas: silent,
      outdated_replicas: outdated,
      alerts: open.slice(0, alertsShown).map(shownAlert),
      topics: mergeBusiest(replicas.map(({ topics }) => topics)).map((topic) => ({
        ...topic,
        deliveries_per_sec: deliveriesPerSec(topic),
        frozen: frozenNames.has(topic.topic),
      })),
    };
  }

  private async stoppedActors(replicas: readonly ReplicaOverview[]) {
    if (!replicas.some(({ metrics }) => metrics.actors.stopped > 0)) return [];
    const { answers } = await this.dependencies.cluster.ask(listActors, { state: 'stopped', limit: 100 });
    return answers.flatMap(({ answer }) => answer.items);
  }

  /** When a finding was first seen; findings that have ended are forgotten. */
  private since(at: number): (key: string) => number {
    const before = new Map(this.firstSeen);
    this.firstSeen.clear();
    return (key) => {
      const since = before.get(key) ?? at;
      this.firstSeen.set(key, since);
      return since;
    };
  }
}

function figuresOf(replicas: readonly ReplicaOverview[]) {
  const sum = (read: (one: ReplicaOverview) => number) =>
    replicas.reduce((total, one) => total + read(one), 0);
  const last = (read: (sample: ReplicaOverview['samples'][number]) => number) =>
    Number(sum(({ samples }) => (samples.length === 0 ? 0 : read(samples[samples.length - 1]!))).toFixed(1));
  const worst = (read: (one: ReplicaOverview) => number) => Math.max(0, ...replicas.map(read));
  const refused: Record<string, number> = {};
  for (const { refused_per_sec: rates } of replicas)
    for (const [code, rate] of Object.entries(rates)) refused[code] = (refused[code] ?? 0) + rate;
  const isLimited = replicas.length > 0 && replicas.every(({ connections_limit: limit }) => limit > 0);
  return {
    connections: sum(({ metrics }) => metrics.active_connections),
    connections_limit: isLimited ? sum(({ connections_limit: limit }) => limit) : null,
    publishes_per_sec: last((sample) => sample.publishes_per_sec),
    deliveries_per_sec: last((sample) => sample.deliveries_per_sec),
    refused_per_sec: last((sample) => sample.refused_per_sec),
    refused_by_code: refused,
    p50_ms: worst(({ metrics }) => metrics.latency_ms.delivery.p50),
    p99_ms: worst(({ metrics }) => metrics.latency_ms.delivery.p99),
    topics: worst(({ metrics }) => metrics.topics.carried),
    subscriptions: sum(({ metrics }) => metrics.topics.subscriptions),
    slow_readers: sum(({ metrics }) => metrics.outboxes.slow),
  };
}

function rowOf({ metrics, version, problems, samples, ...limits }: ReplicaOverview) {
  const last = samples[samples.length - 1];
  return {
    replica_id: metrics.replica_id,
    version,
    phase: metrics.phase,
    uptime_secs: metrics.uptime_secs,
    problems: [...problems],
    connections: metrics.active_connections,
    connections_limit: limits.connections_limit === 0 ? null : limits.connections_limit,
    busy: last?.busy ?? null,
    lag_ms: metrics.event_loop_lag_ms.recent_p99,
    heap_bytes: metrics.memory.heap_used_bytes,
    heap_limit_bytes: limits.heap_limit_bytes,
    rss_bytes: metrics.memory.rss_bytes,
    p99_ms: metrics.latency_ms.delivery.p99,
    deliveries_per_sec: last?.deliveries_per_sec ?? null,
    stopped_actors: metrics.actors.stopped,
    redis: metrics.redis.state,
    redis_memory: metrics.redis.memory,
  };
}

function shownAlert({ details: _, ...alert }: Alert) {
  return alert;
}
