import assert from 'node:assert/strict';
import { Confirmations } from '../../../server/fanout/confirmations.js';
import type { AppendReceipt } from '../../../server/log/broker.js';
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
});
