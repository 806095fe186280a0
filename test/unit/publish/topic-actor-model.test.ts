import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RefusalError } from '../../../shared/errors.js';
import { Supervisor } from '../../../server/supervision/supervisor.js';
import { silentLog } from '../../../server/logging/log.js';
import type { AppendEntry } from '../../../server/log/broker.js';
import type { MailboxOverflow } from '../../../server/primitives/mailbox.js';
import { actorIdOf, TopicActor } from '../../../server/publish/topic-actor.js';
import { FakeClock } from '../../support/fake-clock.js';
import { HeldAppends, newEntry } from '../../support/held-appends.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const capacity = 6;
const batchMax = 4;
const batchBytesMax = 1024 * 1024;

/** How a publish is prepared: at once, by a slow hook, or by one that refuses or fails. */
type Preparation = 'none' | 'slow' | 'refuses' | 'breaks';

type Step =
  | { do: 'publish'; count: number; preparation: Preparation; large: boolean }
  | { do: 'succeed' | 'failLog' | 'failBug' | 'refuseWaiting' | 'restart' | 'turn' }
  | { do: 'advance'; ms: number };

const simple = fc.constantFrom(
  'succeed' as const,
  'succeed' as const,
  'failLog' as const,
  'failBug' as const,
  'refuseWaiting' as const,
  'restart' as const,
  'turn' as const,
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      count: fc.integer({ min: 1, max: 8 }),
      preparation: fc.constantFrom<Preparation>('none', 'none', 'slow', 'refuses', 'breaks'),
      large: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: simple }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat(300) }) },
);

interface Publish {
  readonly entry: AppendEntry;
  answer: string | undefined;
}

class Run {
  readonly clock = new FakeClock();
  readonly appends = new HeldAppends();
  readonly publishes: Publish[] = [];
  readonly supervisor: Supervisor;
  readonly actor: TopicActor;

  constructor(
    overflowStrategy: MailboxOverflow,
    lingerMs: number,
    private readonly hooked: boolean,
  ) {
    const { clock } = this;
    this.supervisor = new Supervisor(
      { log: silentLog, onStopped: () => {}, clock },
      { maxRestarts: 2, windowMs: 1000, backoffMs: 50 },
    );
    let startedAt = -Infinity;
    this.actor = new TopicActor(
      {
        broker: this.appends.broker,
        supervisor: this.supervisor,
        appendAt: () => startedAt + lingerMs,
        schedule: (start) =>
          clock.setImmediate(() => {
            startedAt = clock.now();
            start();
          }),
        changes: { value: 0 },
        clock,
      },
      't',
      { mailboxCapacity: capacity, overflowStrategy, batchMax },
    );
  }

  async take(one: Step): Promise<void> {
    switch (one.do) {
      case 'publish':
        for (let n = 0; n < one.count; n++) this.publish(one.preparation, one.large ? 700_000 : 10);
        break;
      case 'turn':
        await this.clock.runImmediates();
        break;
      case 'advance':
        await this.clock.advance(one.ms);
        break;
      case 'restart':
        this.supervisor.restart(actorIdOf('t'));
        break;
      case 'refuseWaiting':
        this.actor.refuseWaiting(new RefusalError('unavailable', 'the log has gone'));
        break;
      default:
        if (this.appends.inFlight) await this.answer(one.do);
    }
    assert.ok(this.actor.health.mailboxSize <= capacity, 'the mailbox is bounded');
  }

  /** From now on everything works: all waiting publishes must be answered. */
  async finish(): Promise<void> {
    for (let n = 0; n < 10; n++) {
      this.supervisor.restart(actorIdOf('t'));
      await this.clock.advance(1000);
      while (this.appends.inFlight) await this.answer('succeed');
    }
    this.supervisor.close();
  }

  check(): void {
    const { appends, publishes } = this;
    for (const { answer } of publishes) assert.notEqual(answer, undefined, 'every publish is answered');
    const stored = publishes.filter(({ answer }) => answer?.startsWith('stored'));
    assert.deepEqual(
      stored.map(({ entry }) => entry.id),
      appends.stored.map(({ id }) => id),
      'stored in the order of the calls, and nothing but what was acknowledged',
    );
    stored.forEach(({ entry, answer }, n) => assert.equal(answer, `stored ${entry.id} at ${n + 1}`));
    for (const batch of appends.batches) {
      assert.ok(batch.length >= 1 && batch.length <= batchMax, `a batch of ${batch.length}`);
      const bytes = batch.reduce((sum, { entry }) => sum + entry.length, 0);
      assert.ok(batch.length === 1 || bytes <= batchBytesMax, `a batch of ${bytes} bytes`);
    }
    assert.ok(this.actor.idle);
    assert.equal(this.clock.pendingTimers, 0);
  }

  private publish(preparation: Preparation, bytes: number): void {
    const entry = newEntry(bytes);
    const publish: Publish = { entry, answer: undefined };
    this.publishes.push(publish);
    const answered = (answer: string) => {
      assert.equal(publish.answer, undefined, 'answered once');
      publish.answer = answer;
    };
    this.actor.append(this.hooked ? () => this.prepare(entry, preparation) : entry).then(
      ({ id, sequence }) => answered(`stored ${id} at ${sequence}`),
      (error: Error) => answered(error.message),
    );
  }

  private async prepare(entry: AppendEntry, preparation: Preparation): Promise<AppendEntry> {
    if (preparation === 'refuses') throw new RefusalError('forbidden', 'not this one');
    if (preparation === 'slow') await this.clock.sleep(20);
    if (preparation === 'breaks') throw new Error('the hook has a bug');
    return entry;
  }

  private async answer(how: 'succeed' | 'failLog' | 'failBug'): Promise<void> {
    if (how === 'succeed') this.appends.succeed();
    else
      this.appends.fail(
        how === 'failBug' ? new Error('bug') : new RefusalError('unavailable', 'the log is unreachable'),
      );
    await this.clock.settle();
  }
}

describe(`[P1] [P3] [P7] the actor of a topic under random failures (seed ${seed})`, function () {
  this.timeout(60_000);

  it('answers each publish once, in order, in bounded batches', async () => {
    const property = fc.asyncProperty(
      fc.constantFrom<MailboxOverflow>('reject', 'drop_oldest'),
      fc.constantFrom(0, 40),
      fc.boolean(),
      fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }),
      async (overflow, lingerMs, hooked, steps) => {
        const run = new Run(overflow, lingerMs, hooked);
        for (const one of steps) await run.take(one);
        await run.finish();
        run.check();
      },
    );
    await fc.assert(property, { seed, numRuns: 300 });
  });
});
