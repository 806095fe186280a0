import assert from 'node:assert/strict';
import { FanOutHarness, type HarnessTopic } from '../../support/fan-out-harness.js';

describe('[P2] [P7] CatchUp', () => {
  let harness: FanOutHarness;
  let topic: HarnessTopic;

  beforeEach(async () => {
    harness = new FanOutHarness({
      overflow: 'catch_up',
      outbox: { limitMessages: 5, limitBytes: 100_000, totalBytes: 1_000_000 },
      payloadBytes: 100,
    });
    topic = await harness.addTopic('t');
  });
  afterEach(() => harness.close());

  const positionOf = (id: string) => {
    harness.takeReceived();
    return harness.subscribers.get(id)!.positions.get('t')!.sequence;
  };
  const epochOf = (id: string) => harness.subscribers.get(id)!.positions.get('t')!.epoch;
  const publishFlushed = async (count: number) => {
    harness.publish(topic, count);
    await harness.clock.settle();
  };

  it('sends missed messages before live ones', async () => {
    await publishFlushed(10);
    const late = harness.addSubscriber('late');
    harness.join(late, topic, 7);
    assert.equal(topic.active.positionOf('late').sequence, 3);
    harness.publish(topic, 2);
    await harness.clock.advance(50);
    assert.deepEqual([positionOf('late'), topic.active.behind, late.gaps], [12, 0, []]);
  });

  it('has only one block in progress to a slow reader, however much it has missed', async () => {
    await publishFlushed(300);
    const slow = harness.addSubscriber('slow');
    harness.join(slow, topic, 300);
    slow.transport.reading = false;
    await harness.clock.advance(5000);
    assert.ok(slow.transport.waitingMessages <= 64);
    slow.transport.resume();
    await harness.clock.advance(1000);
    assert.equal(positionOf('slow'), 300);
  });

  it('reads a block once for all readers that need it', async () => {
    await publishFlushed(200);
    let reads = 0;
    const { broker } = topic.log;
    Object.defineProperty(topic.log, 'broker', {
      value: {
        ...broker,
        read: (...asked: Parameters<typeof broker.read>) => (reads++, broker.read(...asked)),
      },
    });
    for (let n = 0; n < 20; n++) harness.join(harness.addSubscriber(`s${n}`), topic, 200);
    await harness.clock.advance(1000);
    for (let n = 0; n < 20; n++) assert.equal(positionOf(`s${n}`), 200);
    assert.equal(reads, 4);
  });

  it('announces what was trimmed meanwhile, and continues after it', async () => {
    await publishFlushed(10);
    const late = harness.addSubscriber('late');
    harness.join(late, topic, 8);
    topic.log.trim(3);
    await harness.clock.settle();
    assert.equal(positionOf('late'), 10);
    assert.deepEqual(
      late.gaps.map(({ previous, sequence, reason }) => [previous?.sequence, sequence, reason]),
      [[2, 7, 'history_trimmed']],
    );
  });

  it('waits half a second when the log cannot be read, and tries again', async () => {
    await publishFlushed(4);
    const late = harness.addSubscriber('late');
    topic.log.holdsCalls = true;
    harness.join(late, topic, 4);
    await harness.clock.settle();
    topic.log.calls.shift()!.fail(new Error('no answer'));
    await harness.clock.advance(499);
    assert.equal(topic.log.calls.length, 0);
    await harness.clock.advance(1);
    topic.log.calls.shift()!.late();
    await harness.clock.settle();
    assert.equal(positionOf('late'), 4);
  });

  describe('of a log that has lost its last messages', () => {
    /** One complete block, whose last three messages the log then loses. */
    beforeEach(async () => {
      for (let n = 0; n < 64; n++) await publishFlushed(1);
    });
    const rollBack = () => {
      topic.log.rollBack(3);
      harness.publish(topic);
    };

    it('does not deliver what was read before', async () => {
      const [early, between, late] = ['early', 'between', 'late'].map((id) => harness.addSubscriber(id));
      topic.log.holdsCalls = true;
      harness.join(early!, topic, 64);
      await harness.clock.settle();
      const [reading] = topic.log.calls.splice(0);
      rollBack();
      topic.log.holdsCalls = false;
      for (const call of topic.log.calls.splice(0)) call.late();
      await harness.clock.advance(50);
      harness.join(between!, topic, 62);
      await harness.clock.advance(50);
      assert.equal(positionOf('between'), 62, 'it does not wait for the old read');
      reading!.early();
      await publishFlushed(2);
      await harness.clock.advance(50);
      harness.join(late!, topic, 64);
      await harness.clock.advance(600);
      for (const id of ['early', 'between', 'late'])
        assert.deepEqual([positionOf(id), epochOf(id)], [64, 'e2']);
      assert.deepEqual([early!.gaps, late!.gaps, topic.active.behind], [[], [], 0]);
    });

    it('does not deliver cached messages, although they were found just before', async () => {
      harness.join(harness.addSubscriber('first'), topic, 64);
      await harness.clock.advance(50);
      topic.log.holdsCalls = true;
      rollBack();
      const [reading] = topic.log.calls.splice(0);
      topic.log.holdsCalls = false;
      // The feed gets its answer in the turn in which the reader requests its block.
      harness.clock.setImmediate(() => reading!.late());
      harness.join(harness.addSubscriber('second'), topic, 64);
      await harness.clock.advance(50);
      assert.deepEqual([positionOf('second'), epochOf('second')], [62, 'e2']);
    });
  });

  describe('of a log that is another one, before its feed has noticed', () => {
    const gapsOf = (id: string) =>
      harness.subscribers.get(id)!.gaps.map(({ epoch, sequence, reason }) => [epoch, sequence, reason]);

    it('sends the messages of the new log behind the notice that the old one is lost', async () => {
      await publishFlushed(100);
      const late = harness.addSubscriber('late');
      harness.join(late, topic, 100);
      topic.log.lose();
      topic.log.append(70);
      await harness.clock.advance(600);
      assert.deepEqual(
        [positionOf('late'), epochOf('late'), gapsOf('late')],
        [70, 'e2', [['e2', 0, 'log_lost']]],
      );
    });

    it('sends what follows the surviving part once, and no notice to who has seen nothing that was lost', async () => {
      for (let n = 0; n < 20; n++) await publishFlushed(1);
      const late = harness.addSubscriber('late');
      harness.join(late, topic, 15);
      topic.log.rollBack(3);
      topic.log.append(10);
      await harness.clock.advance(600);
      assert.deepEqual([positionOf('late'), epochOf('late'), gapsOf('late')], [27, 'e2', []]);
    });
  });

  it('stops when its subscriber leaves before the start, or during a read', async () => {
    await publishFlushed(4);
    for (const id of ['at once', 'reading']) {
      const late = harness.addSubscriber(id);
      topic.log.holdsCalls = id === 'reading';
      harness.join(late, topic, 4);
      if (id === 'reading') await harness.clock.settle();
      harness.closeSubscriber(late);
      await harness.clock.settle();
      topic.log.calls.shift()?.late();
      await harness.clock.advance(2000);
      assert.deepEqual(late.transport.received, []);
      assert.deepEqual([harness.budget.slowCount, harness.clock.pendingTimers], [0, 0]);
    }
  });
});
