import { v7 as uuidV7 } from 'uuid';
import { Alerts, type Alert } from '../supervision/alerts.js';
import { systemClock } from '../primitives/clock.js';
import { hookPayload } from '../hooks/hook-payload.js';
import { HookRunner } from '../hooks/hook-runner.js';
import type { Hooks } from '../hooks/hooks.js';
import type { HookPool } from '../hooks/pool/hook-pool.js';
import { Supervisor } from '../supervision/supervisor.js';
import { WorkPool } from '../supervision/work-pool.js';
import type { Storage } from '../storage/storage.js';
import type { Settings } from '../config/schema.js';
import type { LogFactory } from '../logging/log.js';
import { assembleHookPool } from './hook-pool.js';

/** Parts that supervision needs. */
interface SupervisionParts {
  readonly settings: Settings;
  readonly replicaId: string;
  readonly storage: Storage;
  /** Hooks of the embedding program. */
  readonly hooks: Hooks | undefined;
  /** Notifies connected operators. */
  readonly announce: (alert: Alert) => void;
  readonly logOf: LogFactory;
}

/** Supervision of the parts that may fail, with alerts, slow work and hooks. */
export interface Supervision {
  readonly supervisor: Supervisor;
  readonly alerts: Alerts;
  readonly pool: WorkPool;
  readonly hooks: HookRunner;
  /** Undefined without `hooks.module`. */
  readonly hookPool: HookPool | undefined;
  close(): void;
}

const poolCapacity = 1000;
const taskLimitMs = 10_000;
const webhookRetryMs = 1000;

/** Assembles supervision: restarts of failed actors, alerts to operators, a pool for slow work, hooks. */
export function assembleSupervision(parts: SupervisionParts): Supervision {
  const { settings, replicaId, storage, logOf } = parts;
  const { actorSystem, websocket, admin } = settings;
  const pool = new WorkPool({ size: actorSystem.poolSize, capacity: poolCapacity, limitMs: taskLimitMs });
  const alerts = new Alerts(
    {
      store: storage.shared,
      pool,
      announce: parts.announce,
      log: logOf('alerts'),
      replicaId,
      newId: uuidV7,
      now: Date.now,
    },
    { webhookUrl: admin.alertWebhookUrl, retryMs: webhookRetryMs },
  );
  storage.onOutage((outage) => {
    if (outage === undefined) alerts.raise('info', 'redis_back', 'Redis can be used again');
    else {
      const { kind, problem, reason, remedy } = outage;
      alerts.raise('critical', 'redis_down', `${problem}: ${reason}`, { outage: kind, remedy });
    }
  });
  storage.onWrites((refusal) => {
    if (refusal === undefined) alerts.raise('info', 'redis_writes_accepted', 'Redis accepts writes again');
    else {
      const { by, reason, remedy } = refusal;
      alerts.raise('critical', 'redis_writes_refused', `Redis refuses writes: ${reason}`, {
        refused_by: by,
        remedy,
      });
    }
  });
  storage.onUp(() => alerts.storeAgain());
  storage.onLoss(({ since, isEmpty, node, formerNode, remedy }) =>
    alerts.raise('critical', 'redis_lost_data', 'Redis has come back with less than it had', {
      ...(since !== undefined && { lost_since: since }),
      is_empty: isEmpty,
      ...(node !== undefined && { node }),
      ...(formerNode !== undefined && { former_node: formerNode }),
      remedy,
    }),
  );
  storage.onStalePrimary(({ stale, newer, wasUsed, remedy }) =>
    alerts.raise('critical', 'redis_stale_primary', 'Two primaries of Redis accept writes', {
      stale,
      newer,
      was_used: wasUsed,
      remedy,
    }),
  );
  const supervisor = new Supervisor(
    {
      log: logOf('actor'),
      onStopped: (child) => alerts.actorStopped(child),
      clock: systemClock,
    },
    {
      maxRestarts: actorSystem.maxRestarts,
      windowMs: actorSystem.restartWindowSecs * 1000,
      backoffMs: actorSystem.restartBackoffMs,
    },
  );
  const payload = { maxBytes: websocket.maxMessageBytes, maxDepth: websocket.maxPayloadDepth };
  const hookPool = assembleHookPool({ settings, alerts, payload, hooks: parts.hooks });
  const hooks = new HookRunner(
    { hooks: parts.hooks ?? {}, pool: hookPool, supervisor, ...hookPayload(payload) },
    { timeoutMs: actorSystem.hookTimeoutMs },
  );
  return {
    supervisor,
    alerts,
    pool,
    hooks,
    hookPool,
    close: () => {
      supervisor.close();
      pool.close();
    },
  };
}
