import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { OutboxOverflow } from '../../../server/fanout/active-topic.js';
import { FanOutHarness, type HarnessTopic } from '../../support/fan-out-harness.js';
import type { FakeSubscriber } from '../../support/fake-subscriber.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const limits = { limitMessages: 8, limitBytes: 4000, totalBytes: 12_000 };
/** A subscriber that is catching up gets at most this many messages in one write. */
const blockSize = 64;

type Step =
  | { do: 'publish'; topic: number; count: number }
  | { do: 'join'; topic: number; subscriber: number; missed: number }
  | { do: 'again'; topic: number; subscriber: number; back: number }
  | { do: 'leave'; topic: number; subscriber: number }
  | { do: 'stall' | 'resume' | 'close'; subscriber: number }
  | { do: 'read'; subscriber: number; bytes: number }
  | { do: 'trim'; topic: number; keep: number }
  | { do: 'rollBack'; topic: number; appends: number; isNoticed: boolean }
  | { do: 'lose'; topic: number; isNoticed: boolean }
  | { do: 'holdReads' }
  | { do: 'answer'; topic: number; which: number; how: 'early' | 'late' | 'fail' }
  | { do: 'turn' }
  | { do: 'advance'; ms: number };

const topic = fc.nat(1);
const subscriber = fc.nat(3);
const weighted = <Kind extends string, Rest extends object>(
  weight: number,
  kind: Kind,
  rest: { [Key in keyof Rest]: fc.Arbitrary<Rest[Key]> },
) => ({ weight, arbitrary: fc.record({ do: fc.constant(kind), ...rest }) });

const step = fc.oneof(
  weighted(20, 'publish', {
    topic,
    count: fc.oneof(
      { weight: 9, arbitrary: fc.integer({ min: 1, max: 5 }) },
      { weight: 1, arbitrary: fc.constant(100) },
    ),
  }),
  weighted(3, 'join', { topic, subscriber, missed: fc.nat(10) }),
  weighted(3, 'again', { topic, subscriber, back: fc.nat(3) }),
  weighted(1, 'leave', { topic, subscriber }),
  weighted(5, 'stall', { subscriber }),
  weighted(2, 'resume', { subscriber }),
  weighted(1, 'close', { subscriber }),
  weighted(5, 'read', { subscriber, bytes: fc.integer({ min: 1, max: 3000 }) }),
  weighted(1, 'trim', { topic, keep: fc.nat(20) }),
  weighted(1, 'rollBack', { topic, appends: fc.nat(3), isNoticed: fc.boolean() }),
  weighted(1, 'lose', { topic, isNoticed: fc.boolean() }),
  weighted(1, 'holdReads', {}),
  weighted(4, 'answer', {
    which: fc.nat(2),
    topic,
    how: fc.constantFrom('early' as const, 'late' as const, 'fail' as const),
  }),
  weighted(4, 'turn', {}),
  weighted(8, 'advance', { ms: fc.nat(60) }),
) as fc.Arbitrary<Step>;

class Run {
  private topics: HarnessTopic[] = [];
  private largestBatch = blockSize;
  private readonly harness: FanOutHarness;
  private readonly all: FakeSubscriber[];

  constructor(overflow: OutboxOverflow) {
    this.harness = new FanOutHarness({ overflow, outbox: limits, payloadBytes: 150 });
    this.all = [
      this.harness.addSubscriber('websocket-1'),
      this.harness.addSubscriber('websocket-2'),
      this.harness.addSubscriber('json', 'json'),
      this.harness.addSubscriber('polling', 'socketio', 'polling'),
    ];
  }

  async start(): Promise<void> {
    for (const name of ['a', 'b']) this.topics.push(await this.harness.addTopic(name));
    for (const one of this.topics) for (const each of this.all) this.harness.join(each, one);
  }

  async take(one: Step): Promise<void> {
    const { harness } = this;
    const its = 'topic' in one ? this.topics[one.topic]! : this.topics[0]!;
    const reader = 'subscriber' in one ? this.all[one.subscriber]! : this.all[0]!;
    switch (one.do) {
      case 'publish':
        harness.publish(its, one.count);
        break;
      case 'join':
        if (this.isOpen(reader) && !harness.isMember(reader, its)) harness.join(reader, its, one.missed);
        break;
      case 'again':
        if (this.isOpen(reader) && harness.isMember(reader, its)) harness.again(reader, its, one.back);
        break;
      case 'leave':
        // The client could not assign messages in flight to one of its two subscriptions.
        if (reader.outbox.drained) harness.leave(reader, its);
        break;
      case 'stall':
        reader.transport.reading = false;
        break;
      case 'resume':
        reader.transport.resume();
        break;
      case 'close':
        harness.closeSubscriber(reader);
        break;
      case 'read':
        reader.transport.read(one.bytes);
        break;
      case 'trim':
        its.log.trim(one.keep);
        break;
      case 'rollBack':
        its.log.rollBack(one.appends);
        this.publishAfterLoss(its, one.isNoticed);
        break;
      case 'lose':
        its.log.lose();
        this.publishAfterLoss(its, one.isNoticed);
        break;
      case 'holdReads':
        for (const { log } of this.topics) log.holdsCalls = true;
        break;
      case 'answer': {
        const [call] = its.log.calls.splice(one.which % Math.max(1, its.log.calls.length), 1);
        if (one.how === 'fail') call?.fail(new Error('the log cannot be read'));
        else call?.[one.how]();
        break;
      }
      case 'turn':
        await harness.clock.runImmediates();
        break;
      case 'advance':
        await harness.clock.advance(one.ms);
        break;
    }
    this.check();
  }

  /** All clients read, and the log answers: all reach the end. */
  async finish(): Promise<void> {
    const { harness } = this;
    for (const { log, feed } of this.topics) {
      log.holdsCalls = false;
      feed.check(log.end);
    }
    for (let n = 0; n < 20; n++) {
      for (const { log } of this.topics) while (log.calls.length > 0) log.calls.shift()!.late();
      for (const each of harness.subscribers.values()) each.transport.resume();
      await harness.clock.advance(600);
      this.check();
    }
    for (const each of harness.subscribers.values()) {
      if (each.disconnectedFor !== undefined) continue;
      for (const one of this.topics) {
        if (!harness.isMember(each, one)) continue;
        const { epoch, sequence } = one.log.end;
        assert.deepEqual(each.positions.get(one.name), { epoch, sequence }, `${each.id} has every message`);
        assert.equal(
          one.active.positionOf(each.id).sequence,
          one.log.end.sequence,
          'and the service has its position',
        );
      }
    }
    assert.equal(harness.budget.waitingBytes, 0, 'nothing waits, and the budget is 0');
    assert.deepEqual([harness.budget.slowCount, harness.clock.pendingTimers], [0, 0]);
    harness.close();
  }

  /** The feed gets to know the other log by its first batch, or it misses some batches. */
  private publishAfterLoss(its: HarnessTopic, isNoticed: boolean): void {
    if (isNoticed) this.harness.publish(its);
    else its.log.append(5);
  }

  private isOpen(reader: FakeSubscriber): boolean {
    return reader.transport.readyState === 'open';
  }

  private check(): void {
    const { harness } = this;
    harness.takeReceived();
    for (const { active, log } of this.topics)
      this.largestBatch = Math.max(this.largestBatch, log.end.sequence - active.written.sequence);
    // One batch may be added to a queue that is nearly full, and each topic may stage one for an idle
    // transport.
    const bound = limits.limitMessages + 2 * this.largestBatch;
    for (const { id, transport } of harness.subscribers.values()) {
      const { waitingMessages, writeBuffer } = transport;
      assert.ok(waitingMessages <= bound, `${waitingMessages} messages wait for ${id}, of ${bound} at most`);
      assert.ok(writeBuffer.length <= 2 * bound, `${writeBuffer.length} packets wait for ${id}`);
    }
  }
}

describe(`[P1] [P2] [P7] subscribers that read in random ways (seed ${seed})`, function () {
  this.timeout(60_000);

  for (const overflow of ['catch_up', 'drop_oldest', 'drop_newest', 'disconnect'] as const) {
    it(`get every message once and in order, or a gap, in bounded memory: ${overflow}`, async () => {
      const steps = fc.array(step, { minLength: 1, maxLength: 60, size: 'max' });
      const property = fc.asyncProperty(steps, async (some) => {
        const run = new Run(overflow);
        await run.start();
        for (const one of some) await run.take(one);
        await run.finish();
      });
      await fc.assert(property, { seed, numRuns: 150 });
    });
  }
});
