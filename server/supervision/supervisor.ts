import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import { thrownText } from '../primitives/thrown-text.js';
import type { Clock, Timer } from '../primitives/clock.js';

/**
 * `restarting`: it failed and restarts after a wait. `stopped`: it failed too often; an operator can restart
 * it.
 */
export type ActorState = 'running' | 'restarting' | 'stopped';

interface SupervisorSettings {
  /** Failures within the window after which a child is stopped. */
  readonly maxRestarts: number;
  readonly windowMs: number;
  /**
   * Wait before the first restart; it doubles with each failure in the window, up to
   * {@link longestBackoffMs}.
   */
  readonly backoffMs: number;
}

interface SupervisorDependencies {
  readonly log: Log;
  /** Called when a child is stopped, once. */
  readonly onStopped: (child: SupervisedChild) => void;
  readonly clock: Clock;
}

interface SupervisorCounts {
  failures: number;
  restarts: number;
  stops: number;
}

/** At most this many children are kept; past it the oldest is removed, even a stopped one. */
const childrenLimit = 10_000;

/** A wait before a restart is at most this long, in milliseconds. */
export const longestBackoffMs = 10_000;

/** An actor or a hook that has failed. Without a failure there is no child. */
export class SupervisedChild {
  state: ActorState = 'running';
  /** Since the start, or since an operator restarted it. */
  restartCount = 0;
  lastError = '';
  /** Since the first one. */
  failures = 0;
  /** Called when it runs again. */
  onRestart: (() => void) | undefined;
  private failedAt: number[] = [];
  private timer: Timer | undefined;
  private restartsAt = 0;

  constructor(
    readonly id: string,
    private readonly dependencies: SupervisorDependencies,
    private readonly settings: SupervisorSettings,
    private readonly counts: SupervisorCounts,
  ) {}

  /** Records a failure: the child restarts after a wait, or, if it fails too often, stops. */
  failed(error: unknown): void {
    const { log, onStopped, clock } = this.dependencies;
    const { maxRestarts, windowMs, backoffMs } = this.settings;
    const at = clock.now();
    this.lastError = thrownText(error);
    this.counts.failures++;
    this.failures++;
    this.failedAt = [...this.failedAt.filter((earlier) => earlier > at - windowMs), at];
    log.error('Actor failed', { child_id: this.id, error, restart_count: this.restartCount });
    if (this.state === 'stopped') return;
    if (this.failedAt.length > maxRestarts) {
      this.state = 'stopped';
      clock.clearTimer(this.timer);
      this.counts.stops++;
      log.error('Actor stopped', { child_id: this.id, error, restart_count: this.restartCount });
      onStopped(this);
      return;
    }
    const waitMs = Math.min(longestBackoffMs, backoffMs * 2 ** (this.failedAt.length - 1));
    this.state = 'restarting';
    this.restartsAt = at + waitMs;
    clock.clearTimer(this.timer);
    this.timer = clock.setTimeout(() => {
      this.restartCount++;
      this.counts.restarts++;
      this.run();
    }, waitMs);
    this.timer.unref();
  }

  /** Restarts on request of an operator; earlier failures no longer count. */
  restart(): void {
    this.dependencies.clock.clearTimer(this.timer);
    this.failedAt = [];
    this.restartCount = 0;
    this.run();
  }

  /** @throws RefusalError `unavailable` unless it runs */
  check(): void {
    if (this.state === 'running') return;
    throw this.refusal();
  }

  refusal(): RefusalError {
    if (this.state === 'restarting') {
      return new RefusalError('unavailable', `${this.id} has failed and is being restarted`, {
        retryAfterMs: Math.max(1, Math.ceil(this.restartsAt - this.dependencies.clock.now())),
      });
    }
    return new RefusalError(
      'unavailable',
      `${this.id} was stopped after repeated failures; an operator can restart it`,
      { retryAfterMs: longestBackoffMs },
    );
  }

  /** No failure for a whole window: the child can be removed. */
  isWell(): boolean {
    const last = this.failedAt[this.failedAt.length - 1] ?? -Infinity;
    return this.state === 'running' && last < this.dependencies.clock.now() - this.settings.windowMs;
  }

  close(): void {
    this.dependencies.clock.clearTimer(this.timer);
    this.onRestart = undefined;
  }

  private run(): void {
    this.state = 'running';
    this.onRestart?.();
  }
}

/**
 * Supervises actors and hooks that may fail because of a bug, each independently (one for one). It restarts
 * them after a growing wait, and stops those that fail repeatedly. So one broken topic neither stops the
 * others nor uses up the processor.
 */
export class Supervisor {
  readonly counts: SupervisorCounts = { failures: 0, restarts: 0, stops: 0 };
  private readonly byId = new Map<string, SupervisedChild>();
  private readonly timer: Timer;

  constructor(
    private readonly dependencies: SupervisorDependencies,
    private readonly settings: SupervisorSettings,
  ) {
    this.timer = dependencies.clock.setInterval(() => this.forget(), settings.windowMs);
    this.timer.unref();
  }

  /** The child with this id; undefined if it has not failed lately. */
  find(id: string): SupervisedChild | undefined {
    return this.byId.get(id);
  }

  /** Records a failure. The first failure creates the child. */
  failed(id: string, error: unknown): SupervisedChild {
    let child = this.byId.get(id);
    if (child === undefined) {
      child = new SupervisedChild(id, this.dependencies, this.settings, this.counts);
      this.byId.set(id, child);
      this.forgetOldest();
    }
    child.failed(error);
    return child;
  }

  children(): Iterable<SupervisedChild> {
    return this.byId.values();
  }

  /** Number of stopped children. */
  get stopped(): number {
    let stopped = 0;
    for (const { state } of this.byId.values()) if (state === 'stopped') stopped++;
    return stopped;
  }

  /** Restarts a child on request of an operator. False if there is no child with this id. */
  restart(id: string): boolean {
    const child = this.byId.get(id);
    child?.restart();
    return child !== undefined;
  }

  close(): void {
    this.dependencies.clock.clearTimer(this.timer);
    for (const child of this.byId.values()) child.close();
  }

  private forgetOldest(): void {
    if (this.byId.size <= childrenLimit) return;
    for (const [id, child] of this.byId) {
      this.byId.delete(id);
      // Its owner keeps a reference and must not wait for ever.
      child.restart();
      return;
    }
  }

  private forget(): void {
    for (const [id, child] of this.byId) if (child.isWell()) this.byId.delete(id);
  }
}
