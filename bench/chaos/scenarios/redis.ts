import type { RedisServer } from '../processes/redis-server.js';
import type { World } from '../world.js';
import type { Scenario } from './scenario.js';

/** Kills Redis and starts it again. Without data, everything may be lost until it runs. */
async function killRedis(world: World, keepsData: boolean): Promise<void> {
  world.note(`kill -9 of Redis, which ${keepsData ? 'keeps its data' : 'loses everything'}`);
  await world.redis.kill();
  await world.pause(0, 2500);
  await world.redis.run();
  const loses = keepsData ? undefined : { fromMs: 0, untilMs: world.recorder.now };
  world.note('Redis runs again', loses);
}

/** Removes everything. */
export async function flush(world: World, redis: RedisServer = world.redis): Promise<void> {
  // Another fault may have ended it meanwhile, with its data.
  await redis.command('FLUSHALL').catch(() => {});
  world.note('FLUSHALL', { fromMs: 0, untilMs: world.recorder.now });
}

/** A copy that lacks the last writes becomes the Redis of all replicas. */
async function loseTail(world: World, from: RedisServer, to: RedisServer): Promise<void> {
  const fromMs = world.recorder.now;
  world.note('the copy of Redis falls behind');
  await to.follow(undefined);
  await world.pause(200, 1200);
  await from.kill();
  world.moveTo(to);
  world.note('failover to the copy, which lacks the last writes', { fromMs, untilMs: world.recorder.now });
}

/** Trouble of Redis. */
export const redisScenarios: readonly Scenario[] = [
  {
    name: 'short-redis',
    what: 'for a few seconds: a replica is cut off from Redis, Redis is stopped and goes on, then is killed and loses everything',
    redisKeeps: 'memory',
    run: async (world) => {
      const { replica, toRedis } = world.pick(world.members);
      await world.pause(300, 600);
      world.note(`${replica.name} is cut off from Redis`);
      toRedis.cut();
      toRedis.state.isRefusing = true;
      await world.pause(300, 800);
      toRedis.heal();
      world.note('SIGSTOP to Redis');
      world.redis.signal('SIGSTOP');
      await world.pause(300, 800);
      world.redis.signal('SIGCONT');
      await world.pause(300, 600);
      await killRedis(world, false);
      await world.pause(300, 600);
    },
  },
  {
    name: 'redis-kill',
    what: 'kill -9 of a Redis that keeps its data',
    redisKeeps: 'disk',
    run: async (world) => {
      await world.repeat(5, async () => {
        await world.pause(800, 2000);
        await killRedis(world, true);
      });
    },
  },
  {
    name: 'many-epochs',
    what: 'clients stay away while a Redis that keeps its data is killed ten times',
    redisKeeps: 'disk',
    run: async (world) => {
      await world.pause(1000);
      for (const client of world.subscribers.slice(0, 4)) client.stayAway(8000 + world.random(8000));
      world.note('four clients stay away');
      await world.repeat(10, async () => {
        await world.pause(500, 900);
        world.note('kill -9 of Redis, which keeps its data');
        await world.redis.kill();
        await world.redis.run();
        for (const { replica } of world.members) await replica.whenReady(5000);
      });
    },
  },
  {
    name: 'redis-kill-empty',
    what: 'kill -9 of a Redis that comes back empty',
    redisKeeps: 'memory',
    run: async (world) => {
      await world.repeat(4, async () => {
        await world.pause(1000, 2500);
        await killRedis(world, false);
      });
    },
  },
  {
    name: 'failover-lost-tail',
    what: 'a copy of Redis that lacks the last writes takes over, there and back',
    redisKeeps: 'memory',
    hasStandby: true,
    run: async (world) => {
      let [primary, standby] = [world.redis, world.standby!];
      await world.repeat(3, async () => {
        await world.pause(1000, 2000);
        await loseTail(world, primary, standby);
        [primary, standby] = [standby, primary];
        await world.pause(1000, 2000);
        await standby.run();
        await standby.follow(primary.port);
      });
    },
  },
  {
    name: 'same-run-id',
    what: 'Redis follows a copy that lacks the last writes, and becomes the primary again: the same process, a shorter log',
    redisKeeps: 'memory',
    hasStandby: true,
    run: async (world) => {
      const { redis } = world;
      const standby = world.standby!;
      await world.repeat(3, async () => {
        await world.pause(1000, 2000);
        const fromMs = world.recorder.now;
        world.note('the copy of Redis falls behind');
        await standby.follow(undefined);
        await world.pause(200, 1200);
        await redis.follow(standby.port);
        await redis.follow(undefined);
        world.note('Redis has followed the copy there and back', { fromMs, untilMs: world.recorder.now });
        await standby.follow(redis.port);
      });
    },
  },
  {
    name: 'split-brain',
    what: 'a copy of Redis is promoted and the old primary goes on: one replica uses the new one, the other stays with the old one',
    redisKeeps: 'memory',
    hasStandby: true,
    run: async (world) => {
      let [older, newer] = [world.redis, world.standby!];
      await world.repeat(2, async () => {
        await world.pause(1000, 2000);
        const fromMs = world.recorder.now;
        world.note('the copy of Redis is promoted, and the old primary goes on');
        await newer.follow(undefined);
        for (const { toRedis } of world.members) toRedis.retarget(newer.port);
        const { replica, toRedis } = world.pick(world.members);
        toRedis.cut();
        world.note(`${replica.name} uses the new primary`);
        // The other one looks for it every two seconds.
        await world.pause(6000, 8000);
        world.note('the old primary has been left', { fromMs, untilMs: world.recorder.now });
        await world.pause(1000);
        world.note('the old primary is demoted');
        await older.follow(newer.port);
        [older, newer] = [newer, older];
      });
    },
  },
  {
    name: 'flushall',
    what: 'FLUSHALL while everything runs',
    redisKeeps: 'memory',
    run: async (world) => {
      await world.repeat(4, async () => {
        await world.pause(1500, 3000);
        await flush(world);
      });
    },
  },
  {
    name: 'oom',
    what: 'Redis has no memory left and refuses writes, then has some again',
    redisKeeps: 'memory',
    run: async (world) => {
      await world.repeat(4, async () => {
        await world.pause(800, 2000);
        world.note('Redis refuses writes (maxmemory)');
        await world.redis.command('CONFIG', 'SET', 'maxmemory', '1mb');
        await world.pause(500, 2500);
        await world.redis.command('CONFIG', 'SET', 'maxmemory', '0');
        world.note('Redis takes writes again');
      });
    },
  },
];
