import { RefusalError } from '../../../shared/errors.js';
import { SettingsError } from '../../config/load.js';
import { thrownText } from '../../primitives/thrown-text.js';
import type { Clock } from '../../primitives/clock.js';
import { shuttingDown } from '../../protocol/shutting-down.js';
import { HookTimeoutError } from '../hook-timeout.js';
import type { HookName } from '../hooks.js';
import type { ChangedPayload, HookCall, HookOutcome } from './hook-call.js';
import { FairQueue } from './fair-queue.js';
import { HookSlot, type HookWorkerHealth, type Replacement, type ReplacementReason } from './hook-slot.js';
import { ThreadLostError, type NewHookThread } from './hook-thread.js';

/** Calls that were refused should be repeated after this, in milliseconds. */
const retryAfterMs = 1000;

interface HookPoolDependencies {
  readonly newThread: NewHookThread;
  readonly onReplaced: (replacement: Replacement) => void;
  readonly clock: Clock;
}

interface HookPoolSettings {
  /** Path of the module, for messages. */
  readonly module: string;
  readonly size: number;
  readonly timeoutMs: number;
  readonly loadLimitMs: number;
  /** Calls that may wait. */
  readonly capacity: number;
}

interface Job {
  readonly call: HookCall;
  readonly resolve: (changed: ChangedPayload | undefined) => void;
  readonly reject: (error: Error) => void;
}

/** Since the start. */
interface HookPoolCounts {
  /** Calls by how they have ended; a refusal of the hook is no failure. `busy`: too many were waiting. */
  readonly calls: { done: number; refused: number; failed: number; timeout: number; busy: number };
  readonly replaced: Record<ReplacementReason, number>;
}

/** The counts at the start. */
export const noHookCalls = (): HookPoolCounts => ({
  calls: { done: 0, refused: 0, failed: 0, timeout: 0, busy: 0 },
  replaced: { timeout: 0, memory: 0, ended: 0, load: 0 },
});

/**
 * Runs the hooks of a module on worker threads. Topics take turns, and one uses at most half of the workers: a topic whose hooks are slow or
 * hang does not hold up the others.
 */
export class HookPool {
  readonly counts = noHookCalls();
  private readonly slots: readonly HookSlot[];
  private readonly queue: FairQueue<Job>;
  private hooks: ReadonlySet<HookName> | undefined;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly dependencies: HookPoolDependencies,
    private readonly settings: HookPoolSettings,
  ) {
    const onReplaced = (replacement: Replacement) => {
      this.counts.replaced[replacement.reason]++;
      dependencies.onReplaced(replacement);
    };
    const onChange = () => this.start();
    this.slots = Array.from(
      { length: settings.size },
      () => new HookSlot({ ...dependencies, onReplaced, onChange }, settings),
    );
    this.queue = new FairQueue({ share: Math.ceil(settings.size / 2) });
  }

  /** Starts the workers. @throws SettingsError if the module cannot be used */
  async open(): Promise<void> {
    try {
      const [hooks] = await Promise.all(this.slots.map((slot) => slot.open()));
      this.hooks = new Set(hooks);
    } catch (error) {
      const problem = thrownText(error);
      throw new SettingsError([`hooks.module: ${this.settings.module} cannot be loaded: ${problem}`]);
    }
  }

  /** Until the module is loaded it may have any hook. */
  has(hook: HookName): boolean {
    return this.hooks === undefined || this.hooks.has(hook);
  }

  /**
   * Runs a hook when its turn comes.
   *
   * @param key calls of one key start in their order
   * @throws RefusalError the hook's own; `busy` if too many calls wait, `unavailable` if no worker can be started, `shutting_down`;
   * HookTimeoutError, or Error if the hook fails or its worker is lost
   */
  run(key: string, call: HookCall): Promise<ChangedPayload | undefined> {
    return new Promise((resolve, reject) => {
      const refusal = this.refusal();
      if (refusal !== undefined) {
        reject(refusal);
        return;
      }
      this.queue.add(key, { call, resolve, reject });
      this.start();
    });
  }

  get waiting(): number {
    return this.queue.size;
  }

  workers(): HookWorkerHealth[] {
    return this.slots.map(({ health }) => health);
  }

  /** Ends the workers. What they are doing, and what waits, is refused. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.refuseWaiting(shuttingDown());
    await Promise.all(this.slots.map((slot) => slot.close()));
  }

  private refusal(): RefusalError | undefined {
    if (this.closing !== undefined) return shuttingDown();
    if (this.isOut) return unavailable();
    if (this.queue.size < this.settings.capacity) return undefined;
    this.counts.calls.busy++;
    return new RefusalError('busy', 'too many calls of hooks wait for a worker', {
      retryAfterMs,
      limit: this.settings.capacity,
    });
  }

  /** No worker can load the module any more. */
  private get isOut(): boolean {
    return this.slots.every(({ isOut }) => isOut);
  }

  private refuseWaiting(refusal: RefusalError): void {
    for (const { reject } of this.queue.clear()) reject(refusal);
  }

  /** Gives idle workers the calls whose turn it is. */
  private start(): void {
    if (this.closing === undefined && this.isOut) this.refuseWaiting(unavailable());
    for (const slot of this.slots) {
      if (!slot.isIdle) continue;
      const turn = this.queue.next();
      if (turn === undefined) return;
      void this.perform(slot, turn.job).finally(() => {
        this.queue.ended(turn.key);
        this.start();
      });
    }
  }

  /** Never rejects. */
  private async perform(slot: HookSlot, { call, resolve, reject }: Job): Promise<void> {
    const { calls } = this.counts;
    try {
      const outcome = await slot.run(call);
      if (outcome.kind === 'done') {
        calls.done++;
        resolve(outcome.changed);
      } else {
        calls[outcome.kind]++;
        reject(errorOf(outcome));
      }
    } catch (error) {
      if (this.closing !== undefined) reject(shuttingDown());
      else if (error instanceof ThreadLostError && error.reason === 'timeout') {
        calls.timeout++;
        reject(new HookTimeoutError(call.hook, this.settings.timeoutMs));
      } else {
        calls.failed++;
        reject(error as Error);
      }
    }
  }
}

function errorOf(outcome: Exclude<HookOutcome, { readonly kind: 'done' }>): Error {
  if (outcome.kind === 'refused') return new RefusalError(outcome.code, outcome.message, outcome.details);
  const error = new Error(outcome.message);
  if (outcome.stack !== undefined) error.stack = outcome.stack;
  return error;
}

const unavailable = () =>
  new RefusalError('unavailable', 'no worker can load the module of hooks.module', { retryAfterMs });
