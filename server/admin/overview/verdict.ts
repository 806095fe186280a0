import type { Alert } from '../../supervision/alerts.js';
import type { ReplicaOverview } from './overview-operations.js';
import type { Departure } from './replica-departures.js';

/** Something that is not well. */
export interface Finding {
  readonly state: 'warning' | 'critical';
  /** For programs; stays the same while the finding lasts. */
  readonly code: string;
  /** What it means, as a sentence. */
  readonly sentence: string;
  /** Names of replicas. */
  readonly where: readonly string[];
  /** Milliseconds since 1970; null: not known. */
  readonly since: number | null;
  /** The one thing to do next. */
  readonly next: string;
}

/** The state of the service in one sentence. */
export interface Verdict {
  readonly state: 'ok' | 'warning' | 'critical';
  readonly sentence: string;
  /** The worst first. */
  readonly findings: readonly Finding[];
}

/** What is looked at. */
export interface Look {
  readonly replicas: readonly ReplicaOverview[];
  readonly silent: readonly string[];
  readonly departed: readonly Departure[];
  readonly openAlerts: readonly Alert[];
  /** Ids of actors that are stopped, on any replica; the first ones. */
  readonly stoppedActors: readonly { readonly actor_id: string; readonly replica_id: string }[];
}

/** A delay of the event loop that users notice. */
const lagMs = 250;
/** A latency that users notice. */
const slowDeliveryMs = 1000;
/** Shares of a limit. */
const nearLimit = 0.9;

const text = new Intl.NumberFormat('en-US');
const number = (value: number) => text.format(Math.round(value));
const plural = (count: number, one: string) => `${number(count)} ${one}${count === 1 ? '' : 's'}`;
const capital = (sentence: string) => `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}`;

/**
 * Judges the service.
 *
 * @param since when a finding was first seen
 */
export function judge(look: Look, since: (key: string) => number): Verdict {
  const all = [
    ...silentReplicas(look),
    ...departedReplicas(look),
    ...problems(look),
    ...stoppedActors(look),
    ...overloaded(look),
    ...slowDelivery(look),
  ].map((finding) => ({
    ...finding,
    since: finding.since ?? since(`${finding.code} ${finding.where.join(' ')}`),
  }));
  const findings = all.sort((one, other) => rank(one) - rank(other));
  const [worst] = findings;
  if (worst === undefined) return { state: 'ok', sentence: allWell(look), findings };
  const more = findings.length - 1;
  const sentence = more === 0 ? worst.sentence : `${worst.sentence} And ${plural(more, 'more finding')}.`;
  return { state: worst.state, sentence, findings };
}

function rank({ state }: Finding): number {
  return state === 'critical' ? 0 : 1;
}

function allWell({ replicas }: Look): string {
  const connections = replicas.reduce((sum, { metrics }) => sum + metrics.active_connections, 0);
  const p99 = Math.max(0, ...replicas.map(({ metrics }) => metrics.latency_ms.delivery.p99));
  const latency = p99 === 0 ? '' : `, p99 ${p99 < 10 ? p99.toFixed(1) : number(p99)} ms`;
  return `All well: ${plural(connections, 'connection')} on ${plural(replicas.length, 'replica')}${latency}.`;
}

function silentReplicas({ silent, replicas }: Look): Finding[] {
  if (silent.length === 0) return [];
  // Replicas are asked through Redis: without it their silence says nothing about them.
  if (replicas.some(({ metrics }) => metrics.redis.state === 'down'))
    return [
      {
        state: 'warning',
        code: 'replica_silent',
        sentence: `${plural(silent.length, 'replica')} cannot be asked without Redis: ${silent.join(', ')}.`,
        where: silent,
        since: null,
        next: 'The figures are those of the replicas that have answered. Mend Redis first.',
      },
    ];
  return [
    {
      state: 'critical',
      code: 'replica_silent',
      sentence: `${plural(silent.length, 'replica')} ${silent.length === 1 ? 'does' : 'do'} not answer: ${silent.join(', ')}.`,
      where: silent,
      since: null,
      next: 'Look whether the process runs, and at its log. If it has ended, its clients connect to the others by themselves.',
    },
  ];
}

function departedReplicas({ departed }: Look): Finding[] {
  if (departed.length === 0) return [];
  const names = departed.map(({ replica }) => replica);
  return [
    {
      state: 'warning',
      code: 'replica_lost',
      sentence: `${plural(names.length, 'replica')} ended without a drain: ${names.join(', ')}.`,
      where: names,
      since: Math.min(...departed.map(({ at }) => at)),
      next: 'Look why its process ended, and start it again. Its clients have connected to the others by themselves.',
    },
  ];
}

/** What `/health` of the replicas says: each problem once, with the replicas that have it. */
function problems({ replicas, openAlerts }: Look): Finding[] {
  const where = new Map<string, string[]>();
  for (const { metrics, problems: found } of replicas)
    for (const problem of found) where.set(problem, [...(where.get(problem) ?? []), metrics.replica_id]);
  return [...where].map(([problem, names]) => {
    const isRedis = problem.includes('Redis');
    const alert = openAlerts.find(({ kind }) => isRedis && kind.startsWith('redis_'));
    const remedy = alert?.details['remedy'];
    const isOperators = problem.startsWith('an operator');
    return {
      state: isRedis || problem.includes('maintenance') ? ('critical' as const) : ('warning' as const),
      code: isRedis ? 'redis' : isOperators ? 'switched' : 'phase',
      sentence: `${capital(problem)}.`,
      where: names,
      since: alert?.at ?? null,
      next:
        typeof remedy === 'string'
          ? remedy
          : isRedis
            ? 'Run: rtc doctor'
            : isOperators
              ? 'Switch it back when it is no longer needed.'
              : 'Wait: it ends by itself.',
    };
  });
}

function stoppedActors({ stoppedActors: stopped, openAlerts }: Look): Finding[] {
  const [first] = stopped;
  if (first === undefined) return [];
  const names = [...new Set(stopped.map(({ actor_id: id }) => id))];
  const alert = openAlerts.find(({ details }) => details['actor_id'] === first.actor_id);
  return [
    {
      state: 'warning',
      code: 'actor_stopped',
      sentence:
        names.length === 1
          ? `The actor ${names[0]} has stopped: what it does is refused with unavailable.`
          : `${number(names.length)} actors have stopped: what they do is refused with unavailable.`,
      where: [...new Set(stopped.map(({ replica_id: id }) => id))],
      since: alert?.at ?? null,
      next: 'Read its last error, mend the cause, then restart it under Actors.',
    },
  ];
}

function overloaded({ replicas }: Look): Finding[] {
  return replicas.flatMap(({ metrics, connections_limit: limit, heap_limit_bytes: heapLimit }) => {
    const { replica_id: name, active_connections: connections, event_loop_lag_ms: lag, memory } = metrics;
    const findings: Finding[] = [];
    const add = (code: string, sentence: string, next: string) =>
      findings.push({ state: 'warning', code, sentence, where: [name], since: null, next });
    if (lag.recent_p99 > lagMs)
      add(
        'event_loop',
        `Replica ${name} is overloaded: its event loop is up to ${number(lag.recent_p99)} ms late.`,
        'Look at the busiest topics, and add a replica.',
      );
    if (limit > 0 && connections >= nearLimit * limit)
      add(
        'connections_limit',
        `Replica ${name} has ${number(connections)} of ${number(limit)} connections.`,
        'Add a replica, or raise websocket.max_connections.',
      );
    if (memory.heap_used_bytes >= nearLimit * heapLimit)
      add(
        'memory',
        `Replica ${name} uses ${number((100 * memory.heap_used_bytes) / heapLimit)} % of its heap.`,
        'Add a replica, or give it more memory (--max-old-space-size).',
      );
    return findings;
  });
}

function slowDelivery({ replicas }: Look): Finding[] {
  const slow = replicas.filter(({ metrics }) => metrics.latency_ms.delivery.p99 > slowDeliveryMs);
  if (slow.length === 0) return [];
  const p99 = Math.max(...slow.map(({ metrics }) => metrics.latency_ms.delivery.p99));
  return [
    {
      state: 'warning',
      code: 'slow_delivery',
      sentence: `Messages arrive late: 1 % take ${number(p99)} ms or more.`,
      where: slow.map(({ metrics }) => metrics.replica_id),
      since: null,
      next: 'Compare the load of the event loops and the answer time of Redis: rtc doctor',
    },
  ];
}
