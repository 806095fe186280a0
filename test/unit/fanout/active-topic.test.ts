import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { OutboxOverflow } from '../../../server/fanout/active-topic.js';
import { FanOutHarness, type HarnessTopic } from '../../support/fan-out-harness.js';
import type { FakeSubscriber } from '../../support/fake-subscriber.js';
import { growthOfOld, idle, youngObject } from '../../support/old-generation.js';

describe('[P1] [P2] [P7] ActiveTopic', () => {
  let harness: FanOutHarness;
  let topic: HarnessTopic;
  let reader: FakeSubscriber;

  const make = async (overflow: OutboxOverflow, limitMessages = 4) => {
    harness = new FanOutHarness({
      overflow,
      outbox: { limitMessages, limitBytes: 1_000_000, totalBytes: 10_000_000 },
      payloadBytes: 100,
    });
    topic = await harness.addTopic('t');
    reader = harness.addSubscriber('reader');
    harness.join(reader, topic);
  };
  afterEach(() => harness.close());

  const position = () => {
    harness.takeReceived();
    return reader.positions.get('t')!.sequence;
  };
  /** Publishes one message at a time to a stalled reader, each with its own flush. */
  const overflow = async (count: number) => {
    reader.transport.reading = false;
    for (let n = 0; n < count; n++) {
      harness.publish(topic);
      await harness.clock.advance(10);
    }
  };
  const resume = async () => {
    reader.transport.resume();
    await harness.clock.advance(1000);
  };
  const gaps = () =>
    reader.gaps.map(({ previous, sequence, reason }) => [previous?.sequence, sequence, reason]);

  it('writes the messages of one turn as one batch, and later ones after its window', async () => {
    await make('catch_up');
    for (let n = 0; n < 3; n++) harness.publish(topic);
    assert.equal(position(), 0);
    await harness.clock.runImmediates();
    assert.deepEqual([position(), harness.counts.flushes, harness.counts.delivered], [3, 1, 3]);
    harness.publish(topic);
    await harness.clock.advance(3);
    assert.equal(position(), 3);
    await harness.clock.advance(2);
    assert.equal(position(), 4);
  });

  it('is in the new epoch with its log, whether or not something is written there', async () => {
    await make('catch_up');
    const isAt = () => {
      const { epoch, sequence } = topic.active.positionOf(reader.id);
      return `${epoch}:${sequence}`;
    };
    const check = async () => {
      topic.feed.check(topic.log.end);
      await turn();
    };
    harness.publish(topic, 3);
    await harness.clock.advance(10);
    topic.log.rollBack(0);
    await check();
    assert.equal(isAt(), 'e2:3');
    // What is pending is not written yet.
    topic.log.append(1);
    await check();
    topic.log.rollBack(0);
    await check();
    assert.equal(isAt(), 'e2:3');
    await harness.clock.advance(200);
    harness.takeReceived();
    assert.deepEqual([isAt(), reader.gaps], ['e2:4', []]);
  });

  it('has nothing to repeat for a subscriber that subscribes again, from where it began on', async () => {
    await make('catch_up');
    harness.publish(topic, 3);
    await harness.clock.advance(10);
    assert.equal(position(), 3);
    assert.equal(harness.again(reader, topic), true);
    assert.equal(harness.again(reader, topic, 3), true);
    const late = harness.addSubscriber('late');
    harness.join(late, topic, 1);
    assert.equal(harness.again(late, topic, 1), false, 'the second message was not written to it');
    assert.equal(harness.again(late, topic), true);
    await harness.clock.advance(1000);
    assert.equal(late.transport.received.length, 1);
  });

  it('leaves out what a subscriber that catches up has got elsewhere', async () => {
    await make('catch_up');
    harness.publish(topic, 5);
    await harness.clock.advance(10);
    const late = harness.addSubscriber('late');
    harness.join(late, topic, 5);
    late.startAt('t', { epoch: topic.active.written.epoch, sequence: 3 });
    assert.equal(harness.again(late, topic), true);
    await harness.clock.advance(1000);
    harness.takeReceived();
    assert.equal(late.positions.get('t')!.sequence, 5);
  });

  it('does not take what was dropped for a slow reader for delivered', async () => {
    await make('drop_newest');
    await overflow(8);
    assert.equal(harness.again(reader, topic), false);
    await resume();
    assert.equal(position(), 8);
    assert.deepEqual(gaps(), [[4, 8, 'outbox_overflow']]);
    assert.equal(harness.again(reader, topic), true);
    assert.equal(harness.again(reader, topic, 4), false, 'the client may have them after the gap');
  });

  it('does not collect more than a mebibyte', async () => {
    await make('catch_up');
    for (let n = 0; n < 10; n++) harness.publish(topic, 500);
    assert.equal(harness.counts.flushes, 1, 'flushed within the turn');
  });

  it('encodes bytes once for all subscribers of a wire', async () => {
    await make('catch_up');
    const others = [
      harness.addSubscriber('json', 'json'),
      harness.addSubscriber('polling', 'socketio', 'polling'),
    ];
    for (const other of others) harness.join(other, topic);
    harness.publish(topic, 2);
    await harness.clock.settle();
    harness.takeReceived();
    for (const { positions } of [reader, ...others]) assert.equal(positions.get('t')!.sequence, 2);
  });

  it('catch_up: pauses a slow reader, and continues from the log when it has drained', async () => {
    await make('catch_up');
    await overflow(20);
    assert.deepEqual([harness.counts.paused, topic.active.behind], [1, 1]);
    assert.ok(reader.transport.waitingMessages <= 5);
    await resume();
    assert.deepEqual([position(), topic.active.behind, gaps()], [20, 0, []]);
  });

  it('drop_newest: announces one gap, and continues live', async () => {
    await make('drop_newest');
    await overflow(20);
    const held = reader.transport.waitingMessages;
    assert.equal(topic.active.positionOf('reader').sequence, held);
    await resume();
    assert.deepEqual([position(), gaps()], [20, [[held, 20, 'outbox_overflow']]]);
    assert.equal(harness.counts.dropped, 20 - held);
  });

  it("drop_newest: announces one gap for losses of the outbox and of the log, from the reader's position", async () => {
    await make('drop_newest');
    await overflow(10);
    const held = reader.transport.waitingMessages;
    topic.log.lose();
    harness.publish(topic);
    await harness.clock.advance(50);
    await resume();
    assert.equal(position(), 1);
    assert.deepEqual(gaps(), [
      [held, 0, 'log_lost'],
      [0, 1, 'outbox_overflow'],
    ]);
  });

  it('drop_oldest: removes the longest waiting messages to make room for new ones', async () => {
    await make('drop_oldest');
    await overflow(30);
    await resume();
    assert.equal(position(), 30);
    const dropped = reader.gaps.reduce((sum, gap) => sum + (gap.dropped ?? 0), 0);
    assert.equal(dropped, harness.counts.dropped);
    assert.ok(dropped > 20 && reader.gaps.length === 1);
  });

  it('disconnect: closes a slow reader, whose session resumes at its last position', async () => {
    await make('disconnect');
    reader.transport.reading = false;
    let stoppedAt = -1;
    const { onDisconnect } = reader;
    reader.onDisconnect = () => {
      stoppedAt = topic.active.positionOf('reader').sequence;
      onDisconnect();
    };
    await overflow(20);
    assert.equal(reader.disconnectedFor, 'slow_consumer');
    assert.equal(
      stoppedAt,
      reader.transport.waitingMessages,
      'messages that were not written are not counted',
    );
    assert.equal(harness.counts.disconnected, 1);
  });

  it('disconnect: writes nothing more before it closes, although there is room again', async () => {
    await make('disconnect');
    await overflow(4);
    harness.publish(topic);
    topic.active.flush();
    reader.transport.resume();
    harness.publish(topic);
    topic.active.flush();
    harness.takeReceived();
    assert.equal(reader.positions.get('t')!.sequence, 4);
    await harness.clock.settle();
    assert.equal(reader.disconnectedFor, 'slow_consumer');
  });

  it('announces a log that lost its last messages to all subscribers, also those that are catching up', async () => {
    await make('catch_up');
    const live = harness.addSubscriber('live');
    harness.join(live, topic);
    await overflow(10);
    topic.log.rollBack(7);
    harness.publish(topic);
    await harness.clock.advance(20);
    await resume();
    assert.deepEqual([position(), live.positions.get('t')!.sequence], [4, 4]);
    assert.deepEqual(
      live.gaps.map(({ previous, sequence, reason }) => [previous?.sequence, sequence, reason]),
      [[10, 3, 'log_rolled_back']],
    );
  });

  it('removes a subscriber that leaves', async () => {
    await make('catch_up');
    await overflow(10);
    harness.closeSubscriber(reader);
    await harness.clock.advance(1000);
    assert.deepEqual(
      [topic.active.behind, harness.budget.waitingBytes, harness.clock.pendingTimers],
      [0, 0, 0],
    );
  });

  it('keeps nothing that it has written in the old generation of the heap, however quiet it was before', async () => {
    await make('catch_up');
    const topics = await Promise.all(Array.from({ length: idle }, (_, n) => harness.addTopic(`quiet-${n}`)));
    const entry = topic.log.append(1).entries[0]!;
    let sequence = 0;
    const grown = growthOfOld(40_000, (at) => {
      const item = { ...youngObject(), sequence: ++sequence, entry };
      topics[at]!.active.deliver('e1', [item]);
      topics[at]!.active.flush();
    });
    // All of it would be more than 50 MB. The position of each topic, and numbers, get old.
    assert.ok(grown < 25_000_000, `${grown} bytes`);
  });
});
