import assert from 'node:assert/strict';
import { silentLog } from '../../../server/logging/log.js';
import { hashSlot } from '../../../server/storage/redis/cluster/hash-slot.js';
import { ShardLosses } from '../../../server/storage/redis/cluster/shard-losses.js';
import { keyOf } from '../../../server/storage/redis/cluster/command-key.js';
import type { RedisArgument } from '../../../server/storage/redis/redis-store.js';

/** The first slot of each node; the slots up to the next one are its own. */
type Layout = readonly (readonly [first: number, node: string])[];

const registrySlot = hashSlot('rtc:{replicas}:replicas:beats');

describe('[LOG] a shard of a Redis Cluster that has come back with less', () => {
  let counts: Map<number, number>;
  let layout: Layout;
  let failing: string | undefined;
  let losses: ShardLosses;
  let found: string[];

  const ownerOf = (slot: number) => layout.findLast(([first]) => first <= slot)?.[1];
  const beat = async () => {
    losses.beat();
    await new Promise(setImmediate);
  };
  const watchedSlots = () => [...counts.keys()].sort((one, other) => one - other);

  beforeEach(() => {
    counts = new Map();
    failing = undefined;
    found = [];
    const [low, high] = [Math.floor(registrySlot / 2), registrySlot + 1];
    layout = [
      [0, 'a'],
      [low, 'r'],
      [high, 'c'],
    ];
    const call = async (args: RedisArgument[]) => {
      const slot = hashSlot(keyOf(args));
      if (ownerOf(slot) === failing) throw new Error('unreachable');
      counts.set(slot, (counts.get(slot) ?? 0) + 1);
      return counts.get(slot);
    };
    losses = new ShardLosses(
      {
        link: { call: call as never, clock: { now: () => 0, idTime: () => 0 }, onState: () => {}, ownerOf },
        log: silentLog,
      },
      { keyPrefix: 'rtc', heartbeatMs: 1e9 },
    );
    losses.onLoss(({ node, formerNode, isEmpty }) =>
      found.push([node, formerNode ?? '-', isEmpty ? 'empty' : 'less'].join(' ')),
    );
  });
  afterEach(() => losses.close());

  it('is counted in one slot of each, but where the registry of replicas counts', async () => {
    await beat();
    await beat();
    assert.deepEqual(watchedSlots(), [0, registrySlot + 1]);
    assert.deepEqual([...counts.values()], [2, 2]);
  });

  it('is reported once, with its node, and again with the next loss', async () => {
    for (let n = 0; n < 5; n++) await beat();
    counts.set(registrySlot + 1, 2);
    for (let n = 0; n < 3; n++) await beat();
    assert.deepEqual(found, ['c - less']);
    counts.clear();
    for (let n = 0; n < 3; n++) await beat();
    assert.deepEqual(found.slice(1).sort(), ['a - empty', 'c - empty']);
  });

  it('is found after a failover, and where nobody can be reached for a while', async () => {
    for (let n = 0; n < 5; n++) await beat();
    failing = 'c';
    for (let n = 0; n < 3; n++) await beat();
    assert.deepEqual(found, []);
    counts.set(registrySlot + 1, 3);
    layout = layout.map(([first, node]) => [first, node === 'c' ? 'promoted' : node]);
    for (let n = 0; n < 3; n++) await beat();
    assert.deepEqual(found, ['promoted c less']);
  });

  it('is found if its slots were given to another node without their data', async () => {
    for (let n = 0; n < 5; n++) await beat();
    counts.delete(registrySlot + 1);
    layout = layout.map(([first, node]) => [first, node === 'c' ? 'a' : node]);
    for (let n = 0; n < 3; n++) await beat();
    assert.deepEqual(found, ['a c empty']);
  });

  it('is none when slots move with their data, and each node has one slot that is counted', async () => {
    for (let n = 0; n < 5; n++) await beat();
    const moved: Layout = [
      [0, 'new'],
      [100, 'a'],
      [Math.floor(registrySlot / 2), 'r'],
    ];
    for (const next of [moved, layout, moved, layout]) {
      layout = next;
      for (let n = 0; n < 4; n++) await beat();
      const before = new Map(counts);
      await beat();
      const counting = [...counts].filter(([slot, count]) => count !== before.get(slot));
      assert.equal(counting.length, new Set(layout.map(([, node]) => node)).size - 1);
    }
    assert.deepEqual(found, []);
  });
});
