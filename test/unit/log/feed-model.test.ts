import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { LogFeed } from '../../../server/log/feed.js';
import { silentLog } from '../../../server/logging/log.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingSink } from '../../support/recording-sink.js';
import { ScriptedLog } from '../../support/scripted-log.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

type Step =
  | { do: 'append'; count: number }
  /** One of the published batches arrives; it may arrive again later. */
  | { do: 'receive'; which: number; again: boolean }
  | { do: 'drop'; which: number }
  | { do: 'answer'; how: 'early' | 'late' | 'fail' }
  | { do: 'trim'; keep: number }
  | { do: 'rollBack'; appends: number }
  | { do: 'lose' }
  /** The log's end is read now, and compared with the feed later. */
  | { do: 'readEnd' }
  | { do: 'checkEnd' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      // The largest need more than one read, and two of them more than a feed keeps.
      count: fc.oneof(
        { weight: 20, arbitrary: fc.integer({ min: 1, max: 3 }) },
        { weight: 1, arbitrary: fc.constant(600) },
      ),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('receive' as const),
      which: fc.oneof(fc.constant(0), fc.nat(5)),
      again: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drop' as const), which: fc.nat(3) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      how: fc.constantFrom('early' as const, 'late' as const, 'fail' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('trim' as const), keep: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('rollBack' as const), appends: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('readEnd' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('checkEnd' as const) }) },
);

class Run {
  private readonly log = new ScriptedLog();
  private readonly sink = new RecordingSink(this.log);
  private readonly feed: LogFeed;
  private opening = false;
  private readEnd = this.log.end;

  constructor(history: number) {
    if (history > 0) this.log.append(history);
    this.log.published.length = 0;
    this.log.holdsCalls = true;
    const { broker } = this.log;
    this.feed = new LogFeed({ broker, log: silentLog, clock: new FakeClock() }, 't', this.sink, {
      sparse: false,
    });
    this.open();
  }

  async take(one: Step): Promise<void> {
    const { log, feed } = this;
    const { published } = log;
    switch (one.do) {
      case 'append':
        log.append(one.count);
        break;
      case 'receive': {
        if (published.length === 0) break;
        const at = one.which % published.length;
        feed.onBatch(published[at]!);
        if (!one.again) published.splice(at, 1);
        break;
      }
      case 'drop':
        if (published.length > 0) published.splice(one.which % published.length, 1);
        break;
      case 'answer': {
        const call = log.calls.shift();
        if (one.how === 'fail') call?.fail(new Error('the log cannot be read'));
        else call?.[one.how]();
        break;
      }
      case 'trim':
        log.trim(one.keep);
        break;
      case 'rollBack':
        log.rollBack(one.appends);
        break;
      case 'lose':
        log.lose();
        break;
      case 'readEnd':
        this.readEnd = log.end;
        break;
      case 'checkEnd':
        feed.check(this.readEnd);
        break;
    }
    await turn();
    this.open();
    this.sink.verify();
  }

  /** From now on the log works; batches still in flight arrive after that. */
  async finish(): Promise<void> {
    const { log, feed, sink } = this;
    const late = [...log.published];
    for (let n = 0; n < 4; n++) {
      await this.answerAll();
      this.open();
      feed.check(log.end);
    }
    await this.answerAll();
    const atEnd = () => {
      sink.verify();
      assert.deepEqual([feed.position.epoch, feed.position.sequence], [log.end.epoch, log.end.sequence]);
      assert.equal(sink.position.sequence, log.end.sequence);
    };
    atEnd();
    for (const batch of late) feed.onBatch(batch);
    await this.answerAll();
    atEnd();
    log.append(2);
    feed.onBatch(log.published.at(-1)!);
    await this.answerAll();
    atEnd();
    feed.close();
  }

  private async answerAll(): Promise<void> {
    await turn();
    for (let n = 0; this.log.calls.length > 0; n++) {
      assert.ok(n < 100, 'the feed reads for ever');
      this.log.calls.shift()!.late();
      await turn();
    }
  }

  /** Tries again until it is open, as the topic hub does. */
  private open(): void {
    if (this.feed.isOpen || this.opening) return;
    this.opening = true;
    this.feed
      .open((position) => this.sink.startAt(position))
      .catch(() => {})
      .finally(() => (this.opening = false));
  }
}

describe(`[P1] [P2] [P5] a feed with batches in random order (seed ${seed})`, function () {
  this.timeout(60_000);

  it('delivers every message once and in order, or announces the gap, and ends at the end of its log', async () => {
    const property = fc.asyncProperty(
      fc.nat(3),
      fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
      async (history, steps) => {
        const run = new Run(history);
        for (const one of steps) await run.take(one);
        await run.finish();
      },
    );
    await fc.assert(property, { seed, numRuns: 1000 });
  });
});
