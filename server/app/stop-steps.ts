import type { StopStep } from '../supervision/ordered-stop.js';
import type { Admin } from './admin.js';
import type { Foundation } from './foundation.js';
import type { Gateway } from './gateway.js';
import type { Messaging } from './messaging.js';

interface StoppedParts {
  readonly foundation: Foundation;
  readonly messaging: Messaging;
  readonly gateway: Gateway;
  readonly admin: Admin;
}

/** Time for parts that need little, in milliseconds. More is only needed if Redis stalls. */
const briefMs = 1000;

/**
 * What a replica does to stop, in order: no new connections, unfinished publishes and commands are answered, clients are disconnected, then
 * the stores are closed.
 */
export function stopSteps({ foundation, messaging, gateway, admin }: StoppedParts): StopStep[] {
  const { tokens, limits, control, supervision, tracing, storage, metrics, settings } = foundation;
  const { topics, sessions, direct, presence, confirmations, program } = messaging;
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
    brief('sessions', () => sessions.close()),
    brief('topics', async () => {
      direct.close();
      await topics.close();
    }),
    brief('presence', () => presence.close()),
    brief('traces', async () => {
      supervision.close();
      tracing.rules.close();
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
