import type { World } from '../world.js';
import { flush } from './redis.js';
import type { Scenario } from './scenario.js';

/** One fault of any kind, over within a few seconds. */
const faults: readonly ((world: World) => Promise<void>)[] = [
  async (world) => {
    const member = world.pick(world.members);
    await world.killReplica(member);
    await world.pause(0, 800);
    await world.startReplica(member);
  },
  async (world) => {
    const { replica } = world.pick(world.members);
    world.note(`SIGSTOP to ${replica.name}`);
    replica.signal('SIGSTOP');
    await world.pause(300, 4000);
    replica.signal('SIGCONT');
  },
  async (world) => {
    const { replica, toRedis } = world.pick(world.members);
    world.note(`${replica.name} is cut off from Redis`);
    toRedis.cut();
    toRedis.state.isRefusing = true;
    await world.pause(100, 3000);
    toRedis.heal();
  },
  async (world) => {
    const { replica, fromClients } = world.pick(world.members);
    world.note(`the clients of ${replica.name} vanish`);
    fromClients.abandonNear();
    await world.pause(100, 500);
  },
  async (world) => {
    const { replica, fromClients } = world.pick(world.members);
    world.note(`clients of ${replica.name} are cut off`);
    fromClients.cut();
    fromClients.state.delayMs = world.random(200);
    await world.pause(100, 1000);
  },
  async (world) => {
    world.pick(world.subscribers).pauseReading(500 + world.random(2000));
    await world.pause(100, 500);
  },
  async (world) => {
    world.note('SIGSTOP to Redis');
    world.redis.signal('SIGSTOP');
    await world.pause(300, 3000);
    world.redis.signal('SIGCONT');
  },
  async (world) => {
    world.note('kill -9 of Redis, which loses everything');
    await world.redis.kill();
    await world.redis.run();
    world.note('Redis runs again', { fromMs: 0, untilMs: world.recorder.now });
  },
  (world) => flush(world),
];

/** Everything together. */
export const combinedScenarios: readonly Scenario[] = [
  {
    name: 'combined',
    what: 'faults of all kinds, two at a time',
    redisKeeps: 'memory',
    run: async (world) => {
      const endsAt = performance.now() + 20_000;
      const one = async () => {
        while (performance.now() < endsAt) {
          await world.pause(200, 1500);
          await exclusively(world, world.pick(faults));
        }
      };
      await Promise.all([one(), one()]);
    },
  },
];

/** Faults that are under way, by what they are. The same one is not begun twice. */
const underWay = new WeakMap<World, Set<(world: World) => Promise<void>>>();

async function exclusively(world: World, fault: (world: World) => Promise<void>): Promise<void> {
  const running = underWay.get(world) ?? new Set();
  underWay.set(world, running);
  if (running.has(fault)) return;
  running.add(fault);
  try {
    await fault(world);
  } finally {
    running.delete(fault);
  }
}
