import assert from 'node:assert/strict';
import { listPage } from '../../../server/admin/list-page.js';
import {
  ConnectionOperations,
  listConnections,
  listUsers,
} from '../../../server/admin/connections/connection-operations.js';
import { ClusterOperations } from '../../../server/admin/cluster-operations.js';
import { BusiestTopics } from '../../../server/admin/overview/busiest-topics.js';
import { listTopics, TopicOperations } from '../../../server/admin/topics/topic-operations.js';
import { ReplicaCalls } from '../../../server/cluster/replica-calls.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';

/** Processor time, which does not depend on what else the machine does, in milliseconds. */
async function cpuMs(run: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const topics = Array.from({ length: 100_000 }, (_, n) => ({
  name: `rooms.${(n * 7919) % 100_000}`,
  subscribers: n % 5000,
  behind: 0,
  position: { epoch: 'a1832be354', sequence: n },
}));
const connections = Array.from({ length: 20_000 }, (_, n) => ({
  ...{
    id: `connection-${(n * 7919) % 20_000}`,
    wire: 'socketio',
    sessionId: `session-${n}`,
    address: '127.0.0.1',
  },
  ...{
    connectedAt: 1,
    identity: { userId: `user-${n % 9000}`, roles: ['user'] },
    outbox: { waitingBytes: 0 },
  },
}));

describe('[ADMIN] 100,000 topics and 20,000 connections', () => {
  const cluster = new ClusterOperations(new ReplicaCalls(new MemoryBus('a'), { timeoutMs: 10_000 }));
  const page = { limit: 100, bytes: 240_000 };

  before(() => {
    new TopicOperations({ activeTopics: () => topics, activeTopic: () => undefined }).serve(cluster);
    new ConnectionOperations({
      ...{ replicaId: 'a', connections: () => connections, connection: () => undefined, members: () => [] },
      ...{ topics: { positions: () => new Map(), subscribers: () => [] }, gate: {} },
    } as unknown as ConstructorParameters<typeof ConnectionOperations>[0]).serve(cluster);
  });

  for (const [what, ask] of [
    ['topics by subscribers', () => cluster.ask(listTopics, page)],
    ['topics by name', () => cluster.ask(listTopics, { ...page, after: '' })],
    ['topics that begin with a text', () => cluster.ask(listTopics, { ...page, prefix: 'rooms.99' })],
    ['connections in order', () => cluster.ask(listConnections, { ...page, after: '' })],
    ['connections of a user', () => cluster.ask(listConnections, { ...page, user: 'user-77' })],
    ['users by connections', () => cluster.ask(listUsers, page)],
    ['users by name', () => cluster.ask(listUsers, { ...page, after: '' })],
  ] as const)
    it(`list ${what} without holding the event loop`, async () => {
      await ask();
      const used = await cpuMs(ask);
      const size = Buffer.byteLength(JSON.stringify((await ask()).answers));
      assert.ok(used < 200, `${used} ms of processor time`);
      assert.ok(size < 256_000, `${size} bytes`);
    });

  it('give the busiest topics without holding the event loop', async () => {
    let at = 0;
    const busiest = new BusiestTopics({ activeTopics: () => topics, now: () => (at += 2000) });
    await busiest.look();
    const used = await cpuMs(() => busiest.look());
    assert.ok(used < 200, `${used} ms of processor time`);
    assert.equal((await busiest.look()).length, 20);
  });

  it('are listed as sorting all of them would', () => {
    const rank = (one: number, other: number) => other - one;
    const numbers = Array.from({ length: 5000 }, (_, n) => (n * 7919) % 5003);
    const { items, total, more } = listPage(numbers, { limit: 70 }, { keyOf: String, rank }, (item) => item);
    assert.deepEqual(items, [...numbers].sort(rank).slice(0, 70));
    assert.deepEqual([total, more], [5000, true]);
  });
});
