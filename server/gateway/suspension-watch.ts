import type { Log } from '../logging/log.js';
import { engineOf } from './engine-internals/engine-connection.js';
import { postponeTimeout } from './engine-internals/heartbeats.js';
import type { ConnectionRegistry } from './connection-registry.js';

interface SuspensionWatchDependencies {
  readonly registry: Pick<ConnectionRegistry, 'all'>;
  readonly log: Log;
}

/** How often the process shows itself that it runs, in milliseconds. */
const beatMs = 250;
/** A pause of this length is a suspension, in milliseconds. */
const pauseMs = 1000;

/**
 * Notices that this process did not run for a while: a suspended laptop or virtual machine, a paused
 * container. What the clients have sent meanwhile is not read yet, so their time begins anew. Timers fire in
 * the order in which they were due, so this one fires before nearly all of those of the clients.
 */
export class SuspensionWatch {
  private lastBeatAt = performance.now();
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly dependencies: SuspensionWatchDependencies) {
    this.timer = setInterval(() => this.beat(), beatMs).unref();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private beat(): void {
    const now = performance.now();
    const pausedMs = now - this.lastBeatAt - beatMs;
    this.lastBeatAt = now;
    if (pausedMs < pauseMs) return;
    const { registry, log } = this.dependencies;
    log.warn('This process did not run for a while', { duration_ms: Math.round(pausedMs) });
    for (const { socket } of registry.all()) postponeTimeout(engineOf(socket));
  }
}
