import assert from 'node:assert/strict';
import { FanOutBench, type BenchTopic } from '../../support/fan-out-bench.js';

describe('[P2] [P7] CatchUp', () => {
  let bench: FanOutBench;
  let topic: BenchTopic;

  beforeEach(async () => {
    bench = new FanOutBench({
      overflow: 'catch_up',
      outbox: { limitMessages: 5, limitBytes: 100_000, totalBytes: 1_000_000 },
      payloadBytes: 100,
    });
    topic = await bench.addTopic('t');
  });
  afterEach(() => bench.close());

  const positionOf = (id: string) => {
    bench.takeReceived();
    return bench.subscribers.get(id)!.positions.get('t')!.sequence;
  };
  const epochOf = (id: string) => bench.subscribers.get(id)!.positions.get('t')!.epoch;
  const publishFlushed = async (count: number) => {
    bench.publish(topic, count);
    await bench.clock.settle();
  };

  it('sends what was missed before what comes live', async () => {
    await publishFlushed(10);
    const late = bench.addSubscriber('late');
    bench.join(late, topic, 7);
    assert.equal(topic.active.positionOf('late').sequence, 3);
    bench.publish(topic, 2);
    await bench.clock.advance(50);
    assert.deepEqual([positionOf('late'), topic.active.behind, late.gaps], [12, 0, []]);
  });

  it('has one block under way to a slow reader, however much it has missed', async () => {
    await publishFlushed(300);
    const slow = bench.addSubscriber('slow');
    bench.join(slow, topic, 300);
    slow.transport.reading = false;
    await bench.clock.advance(5000);
    assert.ok(slow.transport.waitingMessages <= 64);
    slow.transport.resume();
    await bench.clock.advance(1000);
    assert.equal(positionOf('slow'), 300);
  });

  it('reads a block once for all who need it', async () => {
    await publishFlushed(200);
    let reads = 0;
    const { broker } = topic.log;
    Object.defineProperty(topic.log, 'broker', {
      value: {
        ...broker,
        read: (...asked: Parameters<typeof broker.read>) => (reads++, broker.read(...asked)),
      },
    });
    for (let n = 0; n < 20; n++) bench.join(bench.addSubscriber(`s${n}`), topic, 200);
    await bench.clock.advance(1000);
    for (let n = 0; n < 20; n++) assert.equal(positionOf(`s${n}`), 200);
    assert.equal(reads, 4);
  });

  it('names what was trimmed meanwhile, and goes on after it', async () => {
    await publishFlushed(10);
    const late = bench.addSubscriber('late');
    bench.join(late, topic, 8);
    topic.log.trim(3);
    await bench.clock.settle();
    assert.equal(positionOf('late'), 10);
    assert.deepEqual(
      late.gaps.map(({ previous, sequence, reason }) => [previous?.sequence, sequence, reason]),
      [[2, 7, 'history_trimmed']],
    );
  });

  it('waits half a second when the log cannot be read, and tries again', async () => {
    await publishFlushed(4);
    const late = bench.addSubscriber('late');
    topic.log.holdsCalls = true;
    bench.join(late, topic, 4);
    await bench.clock.settle();
    topic.log.calls.shift()!.fail(new Error('no answer'));
    await bench.clock.advance(499);
    assert.equal(topic.log.calls.length, 0);
    await bench.clock.advance(1);
    topic.log.calls.shift()!.late();
    await bench.clock.settle();
    assert.equal(positionOf('late'), 4);
  });

  describe('of a log that has lost its tail', () => {
    /** One whole block, of which the log then loses the last three messages. */
    beforeEach(async () => {
      for (let n = 0; n < 64; n++) await publishFlushed(1);
    });
    const rollBack = () => {
      topic.log.rollBack(3);
      bench.publish(topic);
    };

    it('does not deliver what was read before', async () => {
      const [early, between, late] = ['early', 'between', 'late'].map((id) => bench.addSubscriber(id));
      topic.log.holdsCalls = true;
      bench.join(early!, topic, 64);
      await bench.clock.settle();
      const [reading] = topic.log.calls.splice(0);
      rollBack();
      topic.log.holdsCalls = false;
      for (const call of topic.log.calls.splice(0)) call.late();
      await bench.clock.advance(50);
      bench.join(between!, topic, 62);
      await bench.clock.advance(50);
      assert.equal(positionOf('between'), 62, 'it does not wait for the old reading');
      reading!.early();
      await publishFlushed(2);
      await bench.clock.advance(50);
      bench.join(late!, topic, 64);
      await bench.clock.advance(600);
      for (const id of ['early', 'between', 'late'])
        assert.deepEqual([positionOf(id), epochOf(id)], [64, 'e2']);
      assert.deepEqual([early!.gaps, late!.gaps, topic.active.behind], [[], [], 0]);
    });

    it('does not deliver what was kept, though it was found just before', async () => {
      bench.join(bench.addSubscriber('first'), topic, 64);
      await bench.clock.advance(50);
      topic.log.holdsCalls = true;
      rollBack();
      const [reading] = topic.log.calls.splice(0);
      topic.log.holdsCalls = false;
      // The feed gets its answer in the turn in which the reader looks for its block.
      bench.clock.setImmediate(() => reading!.late());
      bench.join(bench.addSubscriber('second'), topic, 64);
      await bench.clock.advance(50);
      assert.deepEqual([positionOf('second'), epochOf('second')], [62, 'e2']);
    });
  });

  it('stops when its subscriber leaves before it has begun, or while it reads', async () => {
    await publishFlushed(4);
    for (const id of ['at once', 'reading']) {
      const late = bench.addSubscriber(id);
      topic.log.holdsCalls = id === 'reading';
      bench.join(late, topic, 4);
      if (id === 'reading') await bench.clock.settle();
      bench.closeSubscriber(late);
      await bench.clock.settle();
      topic.log.calls.shift()?.late();
      await bench.clock.advance(2000);
      assert.deepEqual(late.transport.received, []);
      assert.deepEqual([bench.budget.slowCount, bench.clock.pendingTimers], [0, 0]);
    }
  });
});
