import { extname, join } from 'node:path';
import { Piscina } from 'piscina';
import { thrownText } from '../../primitives/thrown-text.js';
import { systemClock } from '../../primitives/clock.js';
import type { HookCall, HookOutcome, HookWorkerData, LoadOutcome } from './hook-call.js';

/** Why a thread has ended: stuck; at the limit of its memory; by itself, because of an error or `process.exit`. */
export type LossReason = 'timeout' | 'memory' | 'ended';

/** A thread has ended, with what it was doing. */
export class ThreadLostError extends Error {
  override readonly name = 'ThreadLostError';

  constructor(
    readonly reason: LossReason,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** A thread that runs hooks, one at a time. */
export interface HookThread {
  /** Loads the module. @throws ThreadLostError, also if that takes longer */
  load(limitMs: number): Promise<LoadOutcome>;
  /** Runs a hook. @throws ThreadLostError, also if it takes longer: then the thread is ended */
  run(call: HookCall, limitMs: number): Promise<HookOutcome>;
  /** Ends the thread with what it is doing. */
  end(): Promise<void>;
}

interface HookThreadSettings extends HookWorkerData {
  readonly heapMb: number;
}

/** Starts a thread; `onLost` is called when it ends while it does nothing. */
export type NewHookThread = (onLost: (error: ThreadLostError) => void) => HookThread;

/** Starts threads of piscina. Each has a pool of its own: so it is known which one is stuck, and that a new one has loaded the module. */
export const hookThreads =
  (settings: HookThreadSettings): NewHookThread =>
  (onLost) =>
    new PiscinaThread(onLost, settings);

const extension = extname(__filename);

class PiscinaThread implements HookThread {
  private readonly pool: Piscina;
  private isRunning = false;
  private isEnding = false;
  private uncaught: unknown;
  private abort: AbortController | undefined;

  constructor(onLost: (error: ThreadLostError) => void, { module, payload, heapMb }: HookThreadSettings) {
    const data: HookWorkerData = { module, payload };
    this.pool = new Piscina({
      filename: join(__dirname, `hook-worker${extension}`),
      name: 'run',
      // Only where the service runs from its sources.
      ...(extension === '.ts' && { execArgv: ['--require', 'tsx/cjs'] }),
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Infinity,
      // Otherwise timers and sockets of the module stand still between two calls.
      atomics: 'disabled',
      recordTiming: false,
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: heapMb },
    });
    this.pool.on('error', (error) => {
      this.uncaught = error;
      // A thread that cannot start leaves its call waiting for another one.
      this.abort?.abort();
    });
    this.pool.on('workerDestroy', () => {
      if (this.isRunning || this.isEnding) return;
      this.isEnding = true;
      // Its error follows in the same turn.
      queueMicrotask(() => onLost(lostBy(this.uncaught ?? new Error('it has exited'))));
    });
  }

  load(limitMs: number): Promise<LoadOutcome> {
    return this.inTime('load', undefined, limitMs);
  }

  run(call: HookCall, limitMs: number): Promise<HookOutcome> {
    const transferList =
      call.hook === 'onPublish' ? call.event.attachments.map(({ buffer }) => buffer as ArrayBuffer) : [];
    return this.inTime('run', call, limitMs, transferList);
  }

  async end(): Promise<void> {
    this.isEnding = true;
    await this.pool.destroy();
  }

  private async inTime<Result>(
    name: 'load' | 'run',
    task: unknown,
    limitMs: number,
    transferList: ArrayBuffer[] = [],
  ): Promise<Result> {
    const abort = (this.abort = new AbortController());
    // After a pause of this thread the answer may be there already: it is read before the immediate.
    const timer = systemClock.setTimeout(() => systemClock.setImmediate(() => abort.abort()), limitMs);
    this.isRunning = true;
    try {
      return (await this.pool.run(task, { name, signal: abort.signal, transferList })) as Result;
    } catch (error) {
      this.isEnding = true;
      if (this.uncaught !== undefined) throw lostBy(this.uncaught);
      if (abort.signal.aborted) throw new ThreadLostError('timeout', `it took more than ${limitMs} ms`);
      throw lostBy(error);
    } finally {
      this.isRunning = false;
      systemClock.clearTimer(timer);
    }
  }
}

function lostBy(cause: unknown): ThreadLostError {
  if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new ThreadLostError('memory', 'its thread has used all of its memory', cause);
  const message = thrownText(cause);
  return new ThreadLostError('ended', `its thread has ended: ${message}`, cause);
}
