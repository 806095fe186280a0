import { resolve } from 'node:path';
import { SettingsError } from '../config/load.js';
import type { Settings } from '../config/schema.js';
import type { Hooks } from '../hooks/hooks.js';
import { HookPool, noHookCalls } from '../hooks/pool/hook-pool.js';
import { hookThreads } from '../hooks/pool/hook-thread.js';
import { ReplacementNotice } from '../hooks/pool/replacement-notice.js';
import type { MetricsDocument } from '../metrics/metrics-document.js';
import { systemClock } from '../primitives/clock.js';
import type { PayloadLimits } from '../protocol/payload.js';
import type { Alerts } from '../supervision/alerts.js';

interface HookPoolParts {
  readonly settings: Settings;
  readonly alerts: Alerts;
  readonly payload: PayloadLimits;
  /** Hooks of the embedding program. */
  readonly hooks: Hooks | undefined;
}

/** For the start of a thread and its module, which may connect to a database first. */
const loadLimitMs = 30_000;

/** Calls that may wait, for each worker. The messages of publishes that wait are in memory anyway. */
const waitingPerWorker = 10_000;

/**
 * Assembles the pool that runs the hooks of a module; undefined without one.
 *
 * @throws SettingsError if the program gives hooks too: two would decide
 */
export function assembleHookPool({ settings, alerts, payload, hooks }: HookPoolParts): HookPool | undefined {
  const { module: path, workerHeapMb: heapMb } = settings.hooks;
  if (path === undefined) return undefined;
  if (hooks !== undefined)
    throw new SettingsError([
      'hooks.module: the program that embeds the service gives hooks itself; leave out one of them',
    ]);
  const module = resolve(path);
  const { poolSize: size, hookTimeoutMs: timeoutMs } = settings.actorSystem;
  const notice = new ReplacementNotice({ alerts, clock: systemClock });
  return new HookPool(
    { newThread: hookThreads({ module, payload, heapMb }), onReplaced: notice.replaced, clock: systemClock },
    { module, size, timeoutMs, loadLimitMs, capacity: size * waitingPerWorker },
  );
}

/** The pool in the metrics. */
export function hookPoolSource(pool: HookPool | undefined): MetricsDocument['hook_pool'] {
  const workers = { idle: 0, busy: 0, restarting: 0 };
  for (const { state, isBusy } of pool?.workers() ?? [])
    workers[state === 'running' ? (isBusy ? 'busy' : 'idle') : 'restarting']++;
  return { workers, waiting: pool?.waiting ?? 0, ...(pool?.counts ?? noHookCalls()) };
}
