import { Router } from 'express';
import type { ControlSnapshot } from '../control/control-state.js';
import type { MemoryLevel } from '../limits/store-memory.js';
import { otherMethods } from './other-methods.js';
import { shownPhase, type Phase } from '../protocol/phase.js';

export interface HealthSources {
  readonly replicaId: string;
  readonly version: string;
  readonly uptimeSecs: () => number;
  readonly connections: () => number;
  /** `none`: the service runs as one replica, in memory. */
  readonly redis: () => {
    readonly state: 'up' | 'down' | 'none';
    readonly reconnects: number;
    readonly adapter_failures: number;
    readonly adapter_denied: boolean;
    /** Null without Redis. */
    readonly memory: { readonly level: MemoryLevel } | null;
    /** Why Redis cannot be used; null: it can, or there is none. */
    readonly outage:
      'unreachable' | 'stalled' | 'password' | 'clients' | 'tls' | 'stale' | 'sentinel' | 'cluster' | null;
    readonly writes: 'accepted' | 'refused';
  };
  /** `writable`: ready only while Redis accepts writes. */
  readonly readiness: 'reachable' | 'writable';
  /** Whether it is known what operators have switched off and revoked; until then no client is admitted. */
  readonly knowsSwitches: () => boolean;
  /** The runtime control as set by operators. */
  readonly control: () => ControlSnapshot;
  readonly phase: () => Phase;
  /** How far the drain is. */
  readonly drain: () => {
    readonly step: string;
    readonly moved: number;
    readonly forced: number;
    readonly remaining: number;
  };
}

/** `/health` for people, `/health/live` and `/health/ready` for orchestrators. */
export function healthRouter(sources: HealthSources): Router {
  const router = Router();
  router.get('/health', (_request, response) => {
    const { mode, accepts_connections, presence, frozen_topics, rate_limits } = sources.control();
    const problems = problemsOf(sources);
    response.json({
      status: problems.length === 0 ? 'ok' : 'degraded',
      problems,
      phase: shownPhase(sources.phase()),
      ...drainOf(sources),
      mode,
      accepts_connections,
      presence,
      frozen_topics: frozen_topics.length,
      rate_limits,
      replica_id: sources.replicaId,
      version: sources.version,
      uptime_secs: sources.uptimeSecs(),
      connections: sources.connections(),
      redis: sources.redis(),
    });
  });
  router.get('/health/live', (_request, response) => {
    response.json({ status: 'ok' });
  });
  router.get('/health/ready', (_request, response) => {
    const redis = sources.redis();
    const phase = sources.phase();
    const accepts = sources.readiness === 'reachable' || redis.writes === 'accepted';
    const ready = phase === 'running' && redis.state !== 'down' && accepts && sources.knowsSwitches();
    if (!ready) response.setHeader('Retry-After', 1);
    response.status(ready ? 200 : 503).json({
      status: ready ? 'ready' : 'not_ready',
      phase: shownPhase(phase),
      ...drainOf(sources),
      redis,
    });
  });
  router.all(['/health', '/health/live', '/health/ready'], otherMethods('GET'));
  return router;
}

function drainOf(sources: HealthSources): object {
  const { step, moved, forced, remaining } = sources.drain();
  return step === 'none' ? {} : { drain: { moved, forced, remaining } };
}

/** What clients meet, in plain words. Nothing: the replica is well. The console says the same. */
export function problemsOf({
  redis,
  control,
  phase,
  knowsSwitches,
}: Pick<HealthSources, 'redis' | 'control' | 'phase' | 'knowsSwitches'>): string[] {
  const { state, outage, memory, writes } = redis();
  const { mode, accepts_connections: acceptsConnections, presence } = control();
  const problems: (string | false)[] = [
    phase() === 'starting' && 'the replica is starting',
    phase() === 'draining' &&
      'the replica is draining: its clients are moved to other replicas, new ones are refused with shutting_down',
    phase() === 'stopping' &&
      'the replica is stopping: commands and new connections are refused with shutting_down',
    state === 'down' &&
      `${causes[outage ?? 'unreachable']}: publishes and first subscriptions are refused with unavailable`,
    state === 'up' &&
      outage !== null &&
      `${causes[outage]}: it is a part of the Redis Cluster, and publishes to its topics are refused with unavailable`,
    phase() === 'running' &&
      !knowsSwitches() &&
      'what operators have switched off and revoked has not been read from Redis since the start: no client is admitted',
    writes === 'refused' && 'Redis refuses writes: publishes are refused with unavailable',
    memory !== null &&
      memory.level !== 'ample' &&
      `the memory of Redis is ${memory.level}: publishes may be refused`,
    mode !== 'normal' && `an operator has set the mode ${mode}: what it forbids is refused with read_only`,
    !acceptsConnections && 'an operator has switched off new connections: they are refused with at_capacity',
    presence === 'shed' && 'an operator has switched off presence: it is refused with read_only',
  ];
  return problems.filter((problem) => problem !== false);
}

const causes = {
  unreachable: 'Redis is not reached',
  stalled: 'Redis does not answer',
  password: 'Redis refuses the user or the password',
  clients: 'Redis accepts no more connections',
  tls: 'TLS with Redis fails',
  stale: 'Redis is a stale primary',
  sentinel: 'Sentinel does not say where Redis is',
  cluster: 'The Redis Cluster does not serve all slots',
} as const;
