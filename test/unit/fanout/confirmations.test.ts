import assert from 'node:assert/strict';
import { Confirmations } from '../../../server/fanout/confirmations.js';
import { awaitedAcksMax } from '../../../server/fanout/subscriber.js';
import type { AppendReceipt } from '../../../server/log/broker.js';
import { SharedAckIds } from '../../../server/protocol/ack-ids.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';

describe('[P6.1] confirmations', () => {
  it('expect no fewer connections than have answered, also if the report of their number is lost', async () => {
    const bus = new MemoryBus('one');
    const confirmations = new Confirmations(bus);
    const receipt: AppendReceipt = {
      id: 'm',
      epoch: 'e',
      sequence: 1,
      duplicate: false,
      durability: 'stored',
      receivers: 2,
    };
    confirmations.expect('m', 't');
    confirmations.sentTo('m', 'one', ['a'], confirmations.nextAckId());
    const confirmed = confirmations.wait(receipt, 1000);
    confirmations.acknowledged('m', 'a');
    // Another replica has sent it to two connections. Its first report was lost.
    bus.send('one', 'confirmation', { id: 'm', acknowledged: 1, left: 0 });
    bus.send('one', 'confirmation', { id: 'm', acknowledged: 0, left: 1 });
    confirmations.endWaits();
    assert.deepEqual(await confirmed, { delivered: 2, expected: 3 });
  });

  it('are awaited for a thousand messages of a connection at most: the oldest counts as left, and nothing of it is kept', async () => {
    /** Asks which acknowledgement ids are still awaited. */
    let isAwaited: (id: number) => boolean = () => false;
    const ackIds = new SharedAckIds();
    const take = ackIds.take.bind(ackIds);
    ackIds.take = (isUsed) => take((isAwaited = isUsed));
    const given: number[] = [];
    const bus = new MemoryBus('one');
    const confirmations = new Confirmations(bus, ackIds);
    const send = (id: string, connections: string[]) => {
      const ackId = confirmations.nextAckId();
      given.push(ackId);
      confirmations.sentTo(id, 'one', connections, ackId);
    };
    confirmations.expect('first', 't');
    const firstReceipt: AppendReceipt = {
      id: 'first',
      epoch: 'e',
      sequence: 1,
      duplicate: false,
      durability: 'memory',
      receivers: 1,
    };
    const confirmed = confirmations.wait(firstReceipt, 60_000);
    send('first', ['honest', 'silent']);
    confirmations.acknowledged('first', 'honest');
    for (let n = 1; n <= awaitedAcksMax + 500; n++) send(`m${n}`, ['silent']);
    assert.equal(given.filter((id) => isAwaited(id)).length, awaitedAcksMax);
    assert.deepEqual(await confirmed, { delivered: 1, expected: 2 });
  });

  it('are counted of all connections of a user, also where each gets the message at another time', async () => {
    const confirmations = new Confirmations(new MemoryBus('one'));
    const receipt: AppendReceipt = {
      id: 'm',
      epoch: 'e',
      sequence: 1,
      duplicate: false,
      durability: 'memory',
      receivers: 1,
    };
    confirmations.expect('m', 't');
    // Both were still reading older messages of the inbox.
    for (const connection of ['one', 'other'])
      confirmations.sentTo('m', 'one', [connection], confirmations.nextAckId());
    const confirmed = confirmations.wait(receipt, 60_000);
    confirmations.acknowledged('m', 'one');
    confirmations.acknowledged('m', 'other');
    confirmations.acknowledged('m', 'other');
    // Ends what an acknowledgement that is lost would keep waiting.
    confirmations.endWaits();
    assert.deepEqual(await confirmed, { delivered: 2, expected: 2 });
  });

  it('keep the acknowledgement ids of every packet of a message until all have answered', () => {
    let isAwaited: (id: number) => boolean = () => false;
    const ackIds = new SharedAckIds();
    const take = ackIds.take.bind(ackIds);
    ackIds.take = (isUsed) => take((isAwaited = isUsed));
    const confirmations = new Confirmations(new MemoryBus('one'), ackIds);
    const given = ['one', 'other'].map((connection) => {
      const ackId = confirmations.nextAckId();
      confirmations.sentTo('m', 'one', [connection], ackId);
      return ackId;
    });
    confirmations.acknowledged('m', 'other');
    assert.deepEqual(given.map(isAwaited), [true, true]);
    confirmations.onLeft('one');
    assert.deepEqual(given.map(isAwaited), [false, false]);
  });
});
