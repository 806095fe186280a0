import assert from 'node:assert/strict';
import { DeliveryBatch } from '../../../server/fanout/delivery-batch.js';
import { SendBufferBudget } from '../../../server/fanout/outbox.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeSubscriber } from '../../support/fake-subscriber.js';

describe('[P7] Outbox', () => {
  const limits = { limitMessages: 5, limitBytes: 10_000, totalBytes: 20_000 };
  let clock: FakeClock;
  let budget: SendBufferBudget;
  let next: number;

  const subscriber = (id = 'one') => new FakeSubscriber({ clock, budget }, id);
  const batchOf = (count: number, bytes = 100, topic = 't') => {
    const entries = Array.from({ length: count }, () => ({
      sequence: next++,
      entry: Buffer.from(`"payload":"${'x'.repeat(bytes - 12)}"`),
    }));
    return new DeliveryBatch(topic, [{ epoch: 'e', entries }]);
  };
  const stalled = (id?: string) => {
    const one = subscriber(id);
    one.transport.reading = false;
    return one;
  };

  beforeEach(() => {
    clock = new FakeClock();
    budget = new SendBufferBudget({ clock }, limits);
    next = 1;
  });
  afterEach(() => budget.close());

  it('has room while the transport takes what is written', async () => {
    const { outbox, transport } = subscriber();
    for (let n = 0; n < 20; n++) {
      assert.ok(outbox.hasRoom());
      outbox.write(batchOf(3));
      await clock.settle();
    }
    assert.equal(transport.received.length, 60);
    assert.deepEqual([outbox.waitingBytes, budget.waitingBytes, clock.pendingTimers], [0, 0, 0]);
  });

  it('has no room above its messages, its bytes, or the bytes of the replica', () => {
    const messages = stalled('messages');
    for (let n = 0; n < 5; n++) messages.outbox.write(batchOf(1));
    assert.deepEqual([messages.outbox.hasRoom(), messages.transport.waitingMessages], [false, 5]);
    const bytes = stalled('bytes');
    bytes.outbox.write(batchOf(1, 9_999));
    assert.ok(bytes.outbox.hasRoom());
    bytes.outbox.write(batchOf(1, 9_999));
    assert.ok(!bytes.outbox.hasRoom());
    const other = stalled('other');
    other.outbox.write(batchOf(1));
    assert.deepEqual([budget.waitingBytes, other.outbox.hasRoom()], [500 + 2 * 9_999, false]);
  });

  it('has room for one batch of any size when the transport has drained', () => {
    const { outbox } = subscriber();
    outbox.write(batchOf(50, 1000));
    assert.ok(outbox.hasRoom());
  });

  it('calls back when the transport has drained, not before, and once', async () => {
    const { outbox, transport } = stalled();
    let drained = 0;
    outbox.write(batchOf(2));
    outbox.write(batchOf(2));
    outbox.onceDrained(() => drained++);
    const cancelled = () => assert.fail('was cancelled');
    outbox.onceDrained(cancelled);
    outbox.cancelDrained(cancelled);
    await clock.advance(500);
    assert.deepEqual([drained, budget.slowCount], [0, 1]);
    transport.read(1);
    await clock.advance(500);
    assert.equal(drained, 0);
    transport.resume();
    await clock.advance(500);
    assert.deepEqual([drained, budget.slowCount, budget.waitingBytes, clock.pendingTimers], [1, 0, 0, 0]);
  });

  it('counts staged batches of several topics, and writes them at once', () => {
    const { outbox, transport } = stalled();
    outbox.write(batchOf(1));
    assert.equal(outbox.stage(batchOf(1, 100, 'a')), true);
    assert.ok(outbox.hasRoom());
    assert.equal(outbox.stage(batchOf(1, 100, 'b')), false);
    outbox.writeStaged();
    assert.equal(transport.writeBuffer.length + transport.waitingMessages, 3, 'one write for both');
    assert.equal(budget.waitingBytes, 300);
  });

  it('counts what is staged for an idle transport, so that the budget is never below what waits', async () => {
    const { outbox, transport } = stalled();
    assert.ok(outbox.hasRoom());
    outbox.stage(batchOf(2, 100, 'a'));
    assert.ok(outbox.hasRoom());
    outbox.stage(batchOf(2, 100, 'b'));
    outbox.writeStaged();
    outbox.write(batchOf(1));
    assert.equal(budget.waitingBytes, 500);
    outbox.dropOldest(() => {});
    assert.ok(budget.waitingBytes >= 0);
    transport.resume();
    await clock.advance(100);
    assert.equal(budget.waitingBytes, 0);
  });

  it('drops the longest waiting messages, and puts one gap for each topic in their place', async () => {
    const one = stalled();
    const { outbox, transport } = one;
    // The first is in the kernel, the second in the transport: both are in progress.
    outbox.write(batchOf(1, 100, 'a'));
    one.startAt('a', { epoch: 'e', sequence: 1 });
    for (let n = 0; n < 500; n++) {
      if (!outbox.hasRoom()) outbox.dropOldest(() => {});
      outbox.write(batchOf(1, 100, 'a'));
      outbox.write(batchOf(1, 100, 'b'));
    }
    assert.ok(transport.writeBuffer.length < 12, `${transport.writeBuffer.length} packets wait`);
    assert.ok(transport.waitingMessages <= limits.limitMessages + 2);
    transport.resume();
    await clock.advance(100);
    const gaps = transport.received
      .filter((text) => text.startsWith('42["gap"'))
      .map((text) => (JSON.parse(text.slice(2)) as [string, { topic: string; dropped: number }])[1]);
    assert.deepEqual(gaps.map(({ topic }) => topic).sort(), ['a', 'b']);
    const messages = transport.received.filter((text) => text.startsWith('42["message"')).length;
    assert.equal(messages + gaps.reduce((sum, { dropped }) => sum + dropped, 0), 1001, 'all are counted');
  });

  it('does not watch a closed connection', async () => {
    const { outbox, transport } = stalled();
    outbox.write(batchOf(2));
    outbox.write(batchOf(2));
    transport.close();
    outbox.close();
    let drained = 0;
    outbox.onceDrained(() => drained++);
    outbox.write(batchOf(1));
    await clock.advance(200);
    assert.deepEqual([drained, budget.waitingBytes, budget.slowCount, clock.pendingTimers], [0, 0, 0, 0]);
  });
});
