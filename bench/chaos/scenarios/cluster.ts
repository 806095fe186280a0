import { hashSlot } from '../../../server/storage/redis/cluster/hash-slot.js';
import type { RedisServer } from '../processes/redis-server.js';
import { need } from '../processes/wait.js';
import type { World } from '../world.js';
import { acknowledgedSince } from './acknowledged-since.js';
import type { Scenario } from './scenario.js';

/** Messages that the replica lacks when it is promoted, of all topics together, at least. */
const lostAtLeast = 100;
/** A failover waits for votes, and for a busy machine. */
const failoverLimitMs = 60_000;
/** Longer than a failover. */
const awayMs = 8000;

/** All shards of the cluster have some of them. */
const manyTopics = { topics: 200, perSec: 60 } as const;
const fewMessages = { topics: 200, perSec: 15 } as const;

/** A primary is killed, and its replica, which lacks acknowledged messages, is promoted. Then the former primary comes back. */
async function failover(
  world: World,
  count: number,
  signal: 'SIGKILL' | 'SIGSTOP' = 'SIGKILL',
): Promise<void> {
  const cluster = world.cluster!;
  const { primary, replica } = world.pick(await cluster.pairs());
  const fromMs = world.recorder.now;
  await replica.fallBehind(primary);
  world.note('the replica of a shard falls behind');
  await acknowledgedSince(world, world.recorder.now, count);
  for (const n of [0, 1, 3, 4]) world.subscribers[n]!.stayAway(awayMs);
  world.note('four clients stay away');
  if (signal === 'SIGKILL') await primary.kill();
  else primary.signal(signal);
  world.note(`${signal} to the primary of a shard`);
  await promoted(world, replica, primary);
  world.note('the service uses the other one', { fromMs, untilMs: world.recorder.now });
  await replica.mayFollow();
  if (signal === 'SIGKILL') await primary.run();
  else primary.signal('SIGCONT');
  world.note('the former primary is back');
  await need(
    async () => (await primary.info('master_link_status').catch(() => undefined)) === 'up',
    'the former primary follows',
    failoverLimitMs,
  );
}

async function promoted(world: World, replica: RedisServer, former: RedisServer): Promise<void> {
  await need(
    async () => (await replica.info('role')) === 'master',
    'the replica is promoted',
    failoverLimitMs,
  );
  await need(() => world.cluster!.isWell(former), 'all slots are served', failoverLimitMs);
  await need(async () => {
    const channels = (await replica.command('PUBSUB', 'SHARDCHANNELS')) as string[];
    return channels.length > 0;
  }, 'the service is connected');
  for (const { replica: member } of world.members) await member.whenReady();
}

/** Slots with topics are given to the next shard, one after the other, while they are written to. Nothing is lost. */
async function moveSlots(world: World, count: number): Promise<void> {
  const cluster = world.cluster!;
  const primaries = (await cluster.pairs()).map(({ primary }) => primary);
  await world.repeat(count, async () => {
    const topic = `t${1 + world.random(manyTopics.topics)}`;
    const slot = hashSlot(topic);
    const owner = await ownerOf(primaries, slot);
    const next = primaries[(primaries.indexOf(owner) + 1) % primaries.length]!;
    await cluster.moveSlot(slot, owner, next);
    world.note(`the slot of ${topic} has moved`);
    await world.pause(100, 400);
  });
}

async function ownerOf(primaries: readonly RedisServer[], slot: number): Promise<RedisServer> {
  for (const primary of primaries) {
    const mine = String(await primary.command('CLUSTER', 'NODES'))
      .split('\n')
      .find((line) => line.includes('myself'))!;
    const ranges = mine.split(' ').slice(8);
    const isOwner = ranges.some((range) => {
      const [first, last = first] = range.split('-').map(Number);
      return first !== undefined && slot >= first && slot <= last!;
    });
    if (isOwner) return primary;
  }
  throw new Error(`no primary has slot ${slot}`);
}

/** The port of the owner of a slot, as a node sees it. */
async function seenBy(node: RedisServer, slot: number): Promise<number | undefined> {
  const ranges = (await node.command('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
  return ranges.find(([first, last]) => slot >= first && slot <= last)?.[2][1];
}

/** The replicas of these pairs lack acknowledged messages, and take over while their primaries run, or are killed. */
async function takeOver(world: World, count: number, kills: boolean): Promise<void> {
  const cluster = world.cluster!;
  const pairs = await cluster.pairs();
  const first = world.random(pairs.length);
  const chosen = Array.from({ length: count }, (_, n) => pairs[(first + n) % pairs.length]!);
  const fromMs = world.recorder.now;
  for (const { primary, replica } of chosen) await replica.fallBehind(primary);
  world.note(`the replicas of ${count} shards fall behind`);
  await acknowledgedSince(world, world.recorder.now, lostAtLeast);
  for (const n of [0, 1, 3, 4]) world.subscribers[n]!.stayAway(awayMs);
  world.note('four clients stay away');
  if (kills) for (const { primary } of chosen) await primary.kill();
  for (const { replica } of chosen) await replica.command('CLUSTER', 'FAILOVER', 'TAKEOVER');
  world.note('they take over');
  for (const { primary, replica } of chosen) await promoted(world, replica, primary);
  await world.pause(1500);
  world.note('the service uses them', { fromMs, untilMs: world.recorder.now });
  for (const { primary, replica } of chosen) {
    await replica.mayFollow();
    if (kills) await primary.run();
  }
  for (const { primary } of chosen)
    await need(
      async () => (await primary.info('master_link_status').catch(() => undefined)) === 'up',
      'the former primary follows',
      failoverLimitMs,
    );
}

/** Redis Cluster: three primaries with a replica each. */
export const clusterScenarios: readonly Scenario[] = [
  {
    name: 'cluster-takeover',
    what: 'CLUSTER FAILOVER TAKEOVER of a replica that lacks messages, whose primary runs, twice',
    redisKeeps: 'disk',
    hasCluster: true,
    load: manyTopics,
    run: async (world) => {
      for (let n = 0; n < 2; n++) {
        await world.pause(500, 1500);
        await takeOver(world, 1, false);
      }
    },
  },
  {
    name: 'cluster-two-shards',
    what: 'the primaries of two shards are killed at once, and their replicas, which lack messages, take over',
    redisKeeps: 'disk',
    hasCluster: true,
    load: manyTopics,
    run: async (world) => {
      await world.pause(500, 1500);
      await takeOver(world, 2, true);
    },
  },
  {
    name: 'cluster-flush',
    what: 'FLUSHALL on the primary of a shard, three times',
    redisKeeps: 'disk',
    hasCluster: true,
    load: manyTopics,
    run: async (world) => {
      await world.repeat(3, async () => {
        await world.pause(1500, 3000);
        const { primary } = world.pick(await world.cluster!.pairs());
        world.pick(world.subscribers).stayAway(3000);
        await world.pause(300);
        await primary.command('FLUSHALL');
        world.note('FLUSHALL of a shard', { fromMs: 0, untilMs: world.recorder.now });
      });
    },
  },
  {
    name: 'cluster-crowded-moves',
    what: 'several slots move at once, that of the replicas of the service and those of sessions too',
    redisKeeps: 'disk',
    hasCluster: true,
    load: manyTopics,
    run: async (world) => {
      const cluster = world.cluster!;
      const primaries = (await cluster.pairs()).map(({ primary }) => primary);
      const tags = () => [
        'replicas',
        ...Array.from({ length: 3 }, () => `t${1 + world.random(manyTopics.topics)}`),
        encodeURIComponent(JSON.stringify(world.pick(world.subscribers).user)),
      ];
      await world.repeat(10, async () => {
        const slots = [...new Set(tags().map((tag) => hashSlot(`{${tag}}`)))];
        const moves = await Promise.all(
          slots.map(async (slot) => {
            const from = await ownerOf(primaries, slot);
            const to = primaries[(primaries.indexOf(from) + 1) % primaries.length]!;
            await cluster.moveKeys(slot, from, to);
            return { slot, from, to };
          }),
        );
        for (const { slot, from, to } of moves) {
          await cluster.assign(slot, from, to);
          await need(
            async () =>
              (await Promise.all(primaries.map((node) => seenBy(node, slot)))).every(
                (port) => port === to.port,
              ),
            'all primaries agree on the slot',
          );
        }
        world.note(`${slots.length} slots have moved`);
        await world.pause(100, 600);
      });
    },
  },
  {
    name: 'cluster-failover',
    what: `200 topics on three shards: kill -9 of a primary whose replica lacks ${lostAtLeast} acknowledged messages, then the former primary comes back`,
    redisKeeps: 'disk',
    hasCluster: true,
    load: manyTopics,
    run: async (world) => {
      await world.pause(500, 1500);
      await failover(world, lostAtLeast);
    },
  },
  {
    name: 'cluster-stall',
    what: `200 topics on three shards: a primary whose replica lacks ${lostAtLeast} acknowledged messages stalls, and comes back when that one has been promoted`,
    redisKeeps: 'disk',
    hasCluster: true,
    load: manyTopics,
    run: async (world) => {
      await world.pause(500, 1500);
      await failover(world, lostAtLeast, 'SIGSTOP');
    },
  },
  {
    name: 'cluster-reshard',
    what: '200 topics on three shards: slots move from shard to shard while they are written to',
    redisKeeps: 'disk',
    hasCluster: true,
    load: manyTopics,
    run: async (world) => {
      await world.pause(500, 1500);
      await moveSlots(world, 30);
    },
  },
  {
    name: 'short-cluster',
    what: 'a short run for npm test: slots move, then a primary is killed and failed over',
    redisKeeps: 'disk',
    hasCluster: true,
    load: fewMessages,
    run: async (world) => {
      await moveSlots(world, 5);
      await failover(world, 30);
    },
  },
];
