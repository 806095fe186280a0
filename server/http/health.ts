import { Router } from 'express';
import type { ControlSnapshot } from '../control/control-state.js';
import type { MemoryLevel } from '../limits/store-memory.js';

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
    /** Null without Redis. */
    readonly memory: { readonly level: MemoryLevel } | null;
    readonly writes: 'accepted' | 'refused';
  };
  /** `writable`: ready only while Redis accepts writes. */
  readonly readiness: 'reachable' | 'writable';
  /** The runtime control as set by operators. */
  readonly control: () => ControlSnapshot;
  readonly phase: () => 'starting' | 'running' | 'draining';
}

/** `/health` for people, `/health/live` and `/health/ready` for orchestrators. */
export function healthRouter(sources: HealthSources): Router {
  const router = Router();
  router.get('/health', (_request, response) => {
    const redis = sources.redis();
    const phase = sources.phase();
    const { mode, accepts_connections, presence, frozen_topics, rate_limits } = sources.control();
    const isFull = redis.memory !== null && redis.memory.level !== 'ample';
    const limited = mode !== 'normal' || !accepts_connections || presence === 'shed' || isFull;
    const isUnwell = redis.state === 'down' || redis.writes === 'refused' || phase !== 'running';
    response.json({
      status: isUnwell || limited ? 'degraded' : 'ok',
      phase,
      mode,
      accepts_connections,
      presence,
      frozen_topics: frozen_topics.length,
      rate_limits,
      replica_id: sources.replicaId,
      version: sources.version,
      uptime_secs: sources.uptimeSecs(),
      connections: sources.connections(),
      redis,
    });
  });
  router.get('/health/live', (_request, response) => {
    response.json({ status: 'ok' });
  });
  router.get('/health/ready', (_request, response) => {
    const redis = sources.redis();
    const phase = sources.phase();
    const accepts = sources.readiness === 'reachable' || redis.writes === 'accepted';
    const ready = phase === 'running' && redis.state !== 'down' && accepts;
    if (!ready) response.setHeader('Retry-After', 1);
    response.status(ready ? 200 : 503).json({ status: ready ? 'ready' : 'not_ready', phase, redis });
  });
  return router;
}
