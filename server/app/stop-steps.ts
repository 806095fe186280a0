import { systemClock } from '../primitives/clock.js';
import { OrderedStop, type StopReport, type StopStep } from '../supervision/ordered-stop.js';
import type { Admin } from './admin.js';
import type { Foundation } from './foundation.js';
import type { Gateway } from './gateway.js';
import type { Messaging } from './messaging.js';

/** The parts of a service that are stopped. */
export interface StoppedParts {
  readonly foundation: Foundation;
  readonly messaging: Messaging;
  readonly gateway: Gateway;
  readonly admin: Admin;
}

/** Time for parts that need little, in milliseconds. More is only needed if Redis stalls. */
const briefMs = 1000;

/** Share of `server.shutdown_timeout_ms` for the parts of the service. The rest is for the last lines of the log. */
const stopShare = 0.9;

/**
 * Stops all parts, and logs how that went. Always resolves, within `server.shutdown_timeout_ms`.
 *
 * @param usedMs the part of this time that the drain has used
 */
export async function stopParts(parts: StoppedParts, usedMs: number): Promise<StopReport> {
  const { settings, replicaId, logOf } = parts.foundation;
  const log = logOf('service');
  const startedAt = performance.now();
  const limitMs = settings.server.shutdownTimeoutMs * stopShare - usedMs;
  const report = await new OrderedStop({ log, clock: systemClock }, { limitMs }).run(stopSteps(parts));
  const fields = { replica_id: replicaId, took_ms: Math.round(performance.now() - startedAt) };
  const { unfinished } = report;
  if (unfinished.length === 0) log.info('Stopped', fields);
  else log.error('Stopped by force', { ...fields, unfinished });
  return report;
}

/**
 * What a replica does to stop, in order: no new connections, unfinished publishes and commands are answered, clients are disconnected, then
 * the stores are closed.
 */
function stopSteps({ foundation, messaging, gateway, admin }: StoppedParts): StopStep[] {
  const { tokens, limits, control, supervision, tracing, storage, metrics, settings } = foundation;
  const { topics, sessions, direct, inboxSizes, presence, confirmations, program } = messaging;
  const brief = (part: string, run: StopStep['run']): StopStep => ({ part, limitMs: briefMs, run });
  return [
    brief('watches', () => {
      program.close();
      tokens.close();
      limits.close();
      control.map.close();
    }),
    {
      part: 'publishes',
      limitMs: settings.server.shutdownTimeoutMs / 2,
      // It returns in time: a publish that is still under way is no failure of the stop.
      run: (limitMs) => topics.settle(limitMs * 0.9),
    },
    brief('commands', async (limitMs) => {
      await gateway.settle(limitMs * 0.4);
      confirmations.endWaits();
      await gateway.settle(limitMs * 0.4);
    }),
    // Before clients are disconnected, because they reconnect to other replicas at once.
    brief('sessions before the end', () => sessions.saveAll()),
    // It destroys what does not close in its time.
    { part: 'connections', limitMs: 3 * briefMs, run: (limitMs) => gateway.close(limitMs / 2) },
    brief('hooks', () => supervision.hooks.settle()),
    brief('hook workers', () => supervision.hookPool?.close()),
    brief('sessions', () => sessions.close()),
    brief('topics', async () => {
      direct.close();
      inboxSizes.close();
      await topics.close();
    }),
    brief('presence', () => presence.close()),
    brief('traces', async () => {
      supervision.close();
      tracing.rules.close();
      control.userLimits.close();
      await tracing.spans.close();
    }),
    brief('admin', () => admin.close()),
    brief('storage', () => storage.close()),
    brief('metrics', () => {
      gateway.budget.close();
      metrics.close();
    }),
  ];
}
