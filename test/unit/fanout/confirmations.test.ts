import assert from 'node:assert/strict';
import { Confirmations } from '../../../server/fanout/confirmations.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';

describe('[P6.1] the deliveries of a confirmed publish', () => {
  it('are never more than were expected, though the report of a replica was lost', async () => {
    const bus = new MemoryBus('a');
    const confirmations = new Confirmations(bus);
    confirmations.expect('m', 't');
    bus.send('a', 'confirmation', { id: 'm', sent: 1 });
    for (let replica = 0; replica < 2; replica++)
      bus.send('a', 'confirmation', { id: 'm', acknowledged: 1, left: 0 });
    const receipt = {
      id: 'm',
      epoch: 'e',
      sequence: 1,
      duplicate: false,
      durability: 'stored',
      receivers: 2,
    } as const;
    assert.deepEqual(await confirmations.wait(receipt, 20), { delivered: 2, expected: 2 });
  });
});
