import assert from 'node:assert/strict';
import { readClusterNodes } from '../../../server/storage/redis/cluster/cluster-view.js';
import { hashSlot, slotCount } from '../../../server/storage/redis/cluster/hash-slot.js';
import { SlotTable } from '../../../server/storage/redis/cluster/slot-table.js';

/** A line of CLUSTER NODES. */
const node = (port: number, flags: string, epoch: number, slots = '') =>
  `id${port} 10.0.0.1:${port}@1${port},,shard-id=x ${flags} - 0 0 ${epoch} connected ${slots}`.trim();
const view = (...lines: string[]) => readClusterNodes(`${lines.join('\n')}\n`, 'asked');
const healthy = view(
  node(1, 'myself,master', 1, '0-99 [5->-id2]'),
  node(2, 'master', 2, `100-${slotCount - 1}`),
  node(3, 'slave', 1),
);

describe('the slots of a Redis Cluster', () => {
  it('are computed as the specification says', () => {
    assert.equal(hashSlot('123456789'), 0x31c3);
    assert.equal(hashSlot('{user1000}.following'), hashSlot('{user1000}.followers'));
    assert.equal(hashSlot('foo{{bar}}zap'), hashSlot('{bar'));
    assert.notEqual(hashSlot('foo{}{bar}'), hashSlot('bar'));
  });

  it('are read with the hosts that clients are to use', () => {
    const [own, named, gone] = view(
      'a :7000@17000 myself,master - 0 0 3 connected 0-5 9',
      'b 10.0.0.2:7001@17001,redis-1.example slave a 0 0 3 connected',
      'c :0@0 master,noaddr - 0 0 4 disconnected',
    );
    assert.deepEqual(own, {
      host: 'asked',
      port: 7000,
      alias: 'asked:7000',
      isPrimary: true,
      isAbsent: false,
      configEpoch: 3,
      slots: [
        [0, 5],
        [9, 9],
      ],
    });
    assert.deepEqual([named?.host, named?.alias], ['redis-1.example', '10.0.0.2:7001']);
    const table = new SlotTable();
    table.apply([[own!, named!]]);
    assert.equal(table.resolve('10.0.0.2:7001'), 'redis-1.example:7001');
    assert.equal(table.resolve('10.0.0.9:1'), '10.0.0.9:1');
    assert.equal(gone, undefined);
  });

  it('belong to the node with the newest configuration, whatever the others say', () => {
    const table = new SlotTable();
    assert.equal(table.apply([healthy, healthy]), true);
    assert.equal(table.apply([healthy, healthy]), false);
    assert.equal(table.ownerOf(5), '10.0.0.1:1', 'a slot that is being moved has not moved');
    assert.deepEqual([...table.nodes.keys()], ['10.0.0.1:1', '10.0.0.1:2']);
    const after = view(
      node(3, 'myself,master', 7, '0-99'),
      node(1, 'master,fail', 1),
      node(2, 'master', 2, `100-${slotCount - 1}`),
    );
    assert.equal(table.apply([after, healthy]), true);
    assert.equal(table.ownerOf(0), '10.0.0.1:3');
    assert.deepEqual([...table.nodes.keys()].sort(), ['10.0.0.1:2', '10.0.0.1:3']);
  });

  it('do not go back to an older configuration, unless most nodes have it', () => {
    const table = new SlotTable();
    const newer = view(node(3, 'myself,master', 7, '0-99'), node(2, 'master', 2, `100-${slotCount - 1}`));
    table.apply([newer, newer]);
    const single = view(node(1, 'myself,master', 1, '0-99'), node(2, 'master', 2, `100-${slotCount - 1}`));
    table.apply([single]);
    assert.equal(table.ownerOf(0), '10.0.0.1:3', 'one of two primaries is alone with it');
    table.apply([single, single]);
    assert.equal(table.ownerOf(0), '10.0.0.1:1');
  });

  it('may have no node', () => {
    const table = new SlotTable();
    table.apply([view(node(1, 'myself,master', 1, '0-99'))]);
    assert.equal(table.unserved, slotCount - 100);
    assert.equal(table.ownerOf(100), undefined);
  });
});
