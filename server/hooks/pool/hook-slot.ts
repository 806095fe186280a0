import type { Clock, Timer } from '../../primitives/clock.js';
import { SlidingWindow } from '../../primitives/sliding-window.js';
import { longestBackoffMs, type ActorState } from '../../supervision/supervisor.js';
import type { HookName } from '../hooks.js';
import type { HookCall, HookOutcome } from './hook-call.js';
import { ThreadLostError, type HookThread, type LossReason, type NewHookThread } from './hook-thread.js';

/** Why a worker was replaced: it was lost, or its module could not be loaded again. */
export type ReplacementReason = LossReason | 'load';

/** A worker that was replaced. */
export interface Replacement {
  readonly reason: ReplacementReason;
  readonly error: Error;
  /** What it was doing; undefined: nothing. */
  readonly call?: HookCall | undefined;
}

interface HookSlotDependencies {
  readonly newThread: NewHookThread;
  /** It can take a call, or has been lost. */
  readonly onChange: () => void;
  readonly onReplaced: (replacement: Replacement) => void;
  readonly clock: Clock;
}

interface HookSlotSettings {
  /** For one call. */
  readonly timeoutMs: number;
  /** For the start of a thread and its module. */
  readonly loadLimitMs: number;
}

/** The health of a worker, as shown by `/admin/actors`. */
export interface HookWorkerHealth {
  readonly state: ActorState;
  readonly isBusy: boolean;
  /** Average time of a call; recent ones have more weight. */
  readonly processingMs: number;
  readonly processed: number;
  readonly failed: number;
  /** Share of the calls of the last minute that failed. */
  readonly errorRate: number;
  /** How often it was replaced. */
  readonly restartCount: number;
  readonly lastError: string | null;
}

/** Wait before the second replacement in a row; it doubles with each. The first one is replaced at once. */
const backoffMs = 100;
const recently = { slotMs: 10_000, slots: 6 };

/** One place of the pool: its worker is replaced whenever it is lost. */
export class HookSlot {
  private state: 'new' | 'loading' | 'idle' | 'busy' | 'waiting' | 'closed' = 'new';
  private thread: HookThread | undefined;
  private timer: Timer | undefined;
  /** Replacements since the last call that has ended. */
  private lossesInRow = 0;
  private cannotLoad = false;
  private processingMs = 0;
  private processed = 0;
  private failed = 0;
  private restartCount = 0;
  private lastError: string | null = null;
  private readonly callsLately = new SlidingWindow(recently.slotMs, recently.slots);
  private readonly failedLately = new SlidingWindow(recently.slotMs, recently.slots);

  constructor(
    private readonly dependencies: HookSlotDependencies,
    private readonly settings: HookSlotSettings,
  ) {}

  get isIdle(): boolean {
    return this.state === 'idle';
  }

  get isBusy(): boolean {
    return this.state === 'busy';
  }

  /** It cannot load the module any more, which it tries again and again, or it is closed. */
  get isOut(): boolean {
    return this.cannotLoad || this.state === 'closed';
  }

  get health(): HookWorkerHealth {
    const now = this.dependencies.clock.now();
    const calls = this.callsLately.sum(now);
    return {
      state: this.isIdle || this.isBusy ? 'running' : 'restarting',
      isBusy: this.isBusy,
      processingMs: this.processingMs,
      processed: this.processed,
      failed: this.failed,
      errorRate: calls === 0 ? 0 : this.failedLately.sum(now) / calls,
      restartCount: this.restartCount,
      lastError: this.lastError,
    };
  }

  /** Starts the first worker. Resolves to the hooks of the module. @throws Error why the module cannot be used */
  async open(): Promise<readonly HookName[]> {
    const hooks = await this.load();
    if (this.state === 'loading') this.become('idle');
    return hooks;
  }

  /** Runs a call on an idle worker. @throws ThreadLostError if that has ended its thread: it is being replaced */
  async run(call: HookCall): Promise<HookOutcome> {
    const { clock } = this.dependencies;
    this.state = 'busy';
    const startedAt = clock.now();
    let hasFailed = true;
    try {
      const outcome = await this.thread!.run(call, this.settings.timeoutMs);
      hasFailed = outcome.kind === 'failed';
      if (outcome.kind === 'failed') this.lastError = outcome.message;
      this.lossesInRow = 0;
      if (this.isBusy) this.become('idle');
      return outcome;
    } catch (error) {
      if (this.isBusy) this.replace({ reason: reasonOf(error), error: error as Error, call });
      throw error;
    } finally {
      this.note(clock.now(), clock.now() - startedAt, hasFailed);
    }
  }

  /** Ends the worker with what it is doing. */
  async close(): Promise<void> {
    this.state = 'closed';
    this.dependencies.clock.clearTimer(this.timer);
    await this.thread?.end();
  }

  private note(now: number, tookMs: number, hasFailed: boolean): void {
    this.processed++;
    this.callsLately.add(now, 1);
    this.processingMs += 0.2 * (tookMs - this.processingMs);
    if (!hasFailed) return;
    this.failed++;
    this.failedLately.add(now, 1);
  }

  private become(state: 'idle' | 'waiting'): void {
    this.state = state;
    this.dependencies.onChange();
  }

  private async load(): Promise<readonly HookName[]> {
    this.state = 'loading';
    const thread = this.dependencies.newThread((error) => {
      if (this.thread === thread && this.isIdle) this.replace({ reason: error.reason, error });
    });
    this.thread = thread;
    const loaded = await thread.load(this.settings.loadLimitMs);
    if ('problem' in loaded) throw new Error(loaded.problem);
    return loaded.hooks;
  }

  private replace(replacement: Replacement): void {
    const { onReplaced, clock } = this.dependencies;
    const { thread } = this;
    this.restartCount++;
    this.lastError = replacement.error.message;
    if (replacement.reason === 'load') this.cannotLoad = true;
    onReplaced(replacement);
    void thread?.end();
    const waitMs = this.lossesInRow === 0 ? 0 : Math.min(longestBackoffMs, backoffMs * 2 ** this.lossesInRow);
    this.lossesInRow++;
    if (waitMs === 0) {
      void this.reload();
      return;
    }
    this.timer = clock.setTimeout(() => void this.reload(), waitMs);
    this.timer.unref();
    this.become('waiting');
  }

  private async reload(): Promise<void> {
    try {
      await this.load();
    } catch (error) {
      if (this.state === 'loading') this.replace({ reason: 'load', error: error as Error });
      return;
    }
    this.cannotLoad = false;
    if (this.state === 'loading') this.become('idle');
  }
}

function reasonOf(error: unknown): LossReason {
  return error instanceof ThreadLostError ? error.reason : 'ended';
}
