import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RefusalError } from '../../../shared/errors.js';
import type { HookCall, HookOutcome, LoadOutcome } from '../../../server/hooks/pool/hook-call.js';
import { HookPool } from '../../../server/hooks/pool/hook-pool.js';
import { ThreadLostError, type HookThread } from '../../../server/hooks/pool/hook-thread.js';
import { FakeClock } from '../../support/fake-clock.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const capacity = 12;

type Ending = 'done' | 'refused' | 'failed' | 'timeout' | 'ended';

type Step =
  | { do: 'call'; key: number; count: number }
  | { do: 'end'; thread: number; ending: Ending }
  | { do: 'load'; thread: number; works: boolean }
  | { do: 'die'; thread: number }
  | { do: 'advance'; ms: number };

const thread = fc.nat(5);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      key: fc.nat(3),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      thread,
      ending: fc.constantFrom<Ending>('done', 'done', 'done', 'refused', 'failed', 'timeout', 'ended'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('load' as const),
      thread,
      works: fc.constantFrom(true, true, true, false),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const), thread }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat(400) }) },
);

const outcomes: Record<'done' | 'refused' | 'failed', HookOutcome> = {
  done: { kind: 'done' },
  refused: { kind: 'refused', code: 'forbidden', message: 'no', details: {} },
  failed: { kind: 'failed', message: 'broken' },
};

class Deferred<Value> {
  resolve!: (value: Value) => void;
  reject!: (error: Error) => void;
  readonly promise = new Promise<Value>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

/** A thread that does what the test says. */
class FakeThread implements HookThread {
  loading: Deferred<LoadOutcome> | undefined;
  running: { readonly call: HookCall; readonly outcome: Deferred<HookOutcome> } | undefined;
  hasEnded = false;

  constructor(
    private readonly onLost: (error: ThreadLostError) => void,
    private readonly onRun: (call: HookCall) => void,
  ) {}

  load(): Promise<LoadOutcome> {
    this.loading = new Deferred<LoadOutcome>();
    return this.loading.promise;
  }

  run(call: HookCall): Promise<HookOutcome> {
    assert.ok(!this.hasEnded && this.running === undefined && this.loading === undefined, 'it is free');
    this.onRun(call);
    const outcome = new Deferred<HookOutcome>();
    this.running = { call, outcome };
    return outcome.promise;
  }

  end(): Promise<void> {
    this.hasEnded = true;
    this.lose('ended');
    return Promise.resolve();
  }

  lose(reason: 'timeout' | 'ended'): void {
    const { running, loading } = this;
    this.running = this.loading = undefined;
    const error = new ThreadLostError(reason, 'lost');
    running?.outcome.reject(error);
    loading?.reject(error);
    if (running === undefined && loading === undefined && !this.hasEnded) this.onLost(error);
    this.hasEnded = true;
  }

  finish(kind: keyof typeof outcomes): void {
    const { running } = this;
    this.running = undefined;
    running?.outcome.resolve(outcomes[kind]);
  }

  loaded(works: boolean): void {
    const { loading } = this;
    this.loading = undefined;
    loading?.resolve(works ? { hooks: ['onPublish'] } : { problem: 'a fault' });
  }
}

interface Call {
  readonly key: string;
  readonly number: number;
  answer: string | undefined;
  isStarted: boolean;
}

class Run {
  readonly clock = new FakeClock();
  readonly calls: Call[] = [];
  private readonly threads: FakeThread[] = [];
  private readonly started: Call[] = [];
  private readonly pool: HookPool;
  private readonly share: number;

  constructor(private readonly size: number) {
    this.share = Math.ceil(size / 2);
    const onRun = (call: HookCall) => this.onRun(call);
    const newThread = (onLost: (error: ThreadLostError) => void) => {
      const made = new FakeThread(onLost, onRun);
      this.threads.push(made);
      return made;
    };
    this.pool = new HookPool(
      { newThread, onReplaced: () => {}, clock: this.clock },
      { module: 'hooks.js', size, timeoutMs: 100, loadLimitMs: 100, capacity },
    );
  }

  async open(): Promise<void> {
    const opened = this.pool.open();
    for (const made of this.threads) made.loaded(true);
    await opened;
  }

  async take(step: Step): Promise<void> {
    const alive = this.threads.filter(({ hasEnded }) => !hasEnded);
    if (step.do === 'advance') await this.clock.advance(step.ms);
    else if (step.do === 'call') for (let i = 0; i < step.count; i++) this.call(`topic ${step.key}`);
    else {
      const chosen = alive[step.thread % Math.max(1, alive.length)];
      if (step.do === 'end') this.end(chosen, step.ending);
      if (step.do === 'load') chosen?.loaded(step.works);
      if (step.do === 'die') chosen?.lose('ended');
    }
    await this.clock.settle();
    this.check();
  }

  /** Lets everything end well, then closes the pool. */
  async finish(): Promise<void> {
    for (let turns = 0; turns < 200; turns++) {
      for (const made of this.threads) {
        made.loaded(true);
        made.finish('done');
      }
      await this.clock.advance(100);
    }
    assert.equal(this.pool.waiting, 0);
    await this.pool.close();
    this.call('after the end');
    await this.clock.settle();
    for (const { answer, number } of this.calls)
      assert.ok(answer !== undefined, `call ${number} is answered`);
    assert.equal(this.calls.at(-1)!.answer, 'shutting_down');
    assert.equal(this.clock.pendingTimers, 0);
  }

  private call(key: string): void {
    const call: Call = { key, number: this.calls.length, answer: undefined, isStarted: false };
    this.calls.push(call);
    const event = { topic: key, connectionId: String(call.number), userId: 'ann' };
    const answered = (answer: string) => {
      assert.equal(call.answer, undefined, `call ${call.number} is answered once`);
      call.answer = answer;
    };
    this.pool.run(key, { hook: 'onSubscribe', event }).then(
      () => answered('done'),
      (error: Error) => answered(error instanceof RefusalError ? error.code : error.name),
    );
  }

  private end(chosen: FakeThread | undefined, ending: Ending): void {
    if (chosen?.running === undefined) return;
    if (ending === 'timeout' || ending === 'ended') chosen.lose(ending);
    else chosen.finish(ending);
  }

  private onRun({ event }: HookCall): void {
    const call = this.calls[Number((event as { connectionId: string }).connectionId)]!;
    assert.equal(call.isStarted, false);
    assert.equal(call.answer, undefined, 'what was refused does not run');
    call.isStarted = true;
    const former = this.started.findLast(({ key }) => key === call.key);
    assert.ok(former === undefined || former.number < call.number, `${call.key} is in order`);
    this.started.push(call);
  }

  private check(): void {
    const running = this.threads.flatMap(({ running }) => (running === undefined ? [] : [running.call]));
    assert.ok(running.length <= this.size);
    const runningOf = (key: string) =>
      running.filter(({ event }) => 'topic' in event && event.topic === key).length;
    const waiting = this.calls.filter(({ isStarted, answer }) => !isStarted && answer === undefined);
    assert.equal(this.pool.waiting, waiting.length);
    assert.ok(waiting.length <= capacity);
    for (const { key } of this.calls) assert.ok(runningOf(key) <= this.share, `${key} has its share`);
    const idle = this.threads.filter(
      ({ hasEnded, running, loading }) => !hasEnded && running === undefined && loading === undefined,
    );
    if (idle.length > 0)
      for (const { key } of waiting) assert.equal(runningOf(key), this.share, `${key} waits for its share`);
  }
}

describe('[HOOKS] the pool of workers for hooks', () => {
  it(`starts the calls of each topic in order, answers each once and leaves none, whatever happens (SEED=${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 60 }),
        async (size, steps) => {
          const run = new Run(size);
          await run.open();
          for (const step of steps) await run.take(step);
          await run.finish();
        },
      ),
      { seed, numRuns: 150 },
    );
  });
});
