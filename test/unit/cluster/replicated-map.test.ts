import assert from 'node:assert/strict';
import { ReplicatedMap } from '../../../server/cluster/replicated-map.js';
import { silentLog } from '../../../server/logging/log.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';
import { MemorySharedStore } from '../../../server/storage/memory/memory-shared-store.js';

describe('ReplicatedMap', () => {
  it('reads the store once more for all changes that are announced during a read, and finds each', async () => {
    const store = new MemorySharedStore({ now: Date.now });
    let reads = 0;
    let running = 0;
    let goOn = () => {};
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const readFields = store.readFields.bind(store);
    store.readFields = async (name) => {
      const found = await readFields(name);
      assert.equal(++running, 1, 'one at a time');
      if (++reads === 1) await held;
      running--;
      return found;
    };
    const map = new ReplicatedMap(
      { store, bus: new MemoryBus('a'), log: silentLog },
      { name: 'settings', checkMs: 3_600_000 },
    );
    // Whoever has waited for a read may ask for another one at once.
    const all = [map.read().then(() => map.read())];
    for (let n = 0; n < 100; n++) {
      await store.writeFields('settings', { [`field ${n}`]: 'x' }, 0);
      all.push(map.read());
    }
    assert.equal(map.size, 0);
    goOn();
    await Promise.all(all);
    assert.deepEqual([map.size, reads], [100, 2]);
    await store.writeFields('settings', { later: 'x' }, 0);
    await map.read();
    assert.deepEqual([map.size, reads], [101, 3]);
    map.close();
  });
});
