import type { Alerts } from '../../supervision/alerts.js';
import type { Clock } from '../../primitives/clock.js';
import type { HookCall } from './hook-call.js';
import type { Replacement, ReplacementReason } from './hook-slot.js';

/** A reason that has not occurred for this long is told again, in milliseconds. */
const quietMs = 3_600_000;

const explanations: Record<ReplacementReason, { readonly what: string; readonly remedy: string }> = {
  timeout: {
    what: 'A hook of hooks.module took too long, and its worker was replaced',
    remedy: 'let the hook end in time, or raise actor_system.hook_timeout_ms',
  },
  memory: {
    what: 'A worker of hooks.module has used all of its memory, and was replaced',
    remedy: 'look for what the module keeps, or raise hooks.worker_heap_mb',
  },
  ended: {
    what: 'A worker of hooks.module has ended, and was replaced',
    remedy: 'let the module catch the errors of its timers and promises, and not call process.exit',
  },
  load: {
    what: 'A new worker cannot load hooks.module',
    remedy: 'mend the module: workers try to load it again, every ten seconds at the latest',
  },
};

/** Tells operators that workers are replaced: once for each reason, until that has not occurred for an hour. */
export class ReplacementNotice {
  private readonly lastAt = new Map<ReplacementReason, number>();

  constructor(
    private readonly dependencies: { readonly alerts: Pick<Alerts, 'raise'>; readonly clock: Clock },
  ) {}

  readonly replaced = ({ reason, error, call }: Replacement): void => {
    const { alerts, clock } = this.dependencies;
    const last = this.lastAt.get(reason) ?? -Infinity;
    this.lastAt.set(reason, clock.now());
    if (clock.now() - last < quietMs) return;
    const { what, remedy } = explanations[reason];
    const details = { reason, error: error.message, ...(call !== undefined && placeOf(call)), remedy };
    alerts.raise(reason === 'load' ? 'critical' : 'warning', 'hook_worker_replaced', what, details);
  };
}

function placeOf({ hook, event }: HookCall): object {
  return { hook, ...('topic' in event && { topic: event.topic }) };
}
