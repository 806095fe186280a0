import type { Scenario } from './scenario.js';

/** Trouble of the processes of the service. */
export const replicaScenarios: readonly Scenario[] = [
  {
    name: 'calm',
    what: 'no fault; clients leave and come back',
    redisKeeps: 'memory',
    run: async (world) => {
      await world.repeat(12, async () => {
        await world.pause(300, 600);
        world.pick(world.subscribers).drop();
      });
    },
  },
  {
    name: 'short',
    what: 'for a few seconds: clients are cut off, a replica is killed, another one is stopped and goes on',
    redisKeeps: 'memory',
    run: async (world) => {
      const [first, second] = world.random(2) === 0 ? world.members : [...world.members].reverse();
      await world.pause(300, 600);
      world.note(`clients of ${second!.replica.name} are cut off`);
      second!.fromClients.cut();
      await world.killReplica(first!);
      await world.startReplica(first!);
      world.note(`SIGSTOP to ${second!.replica.name}`);
      second!.replica.signal('SIGSTOP');
      await world.pause(300, 800);
      second!.replica.signal('SIGCONT');
      await world.pause(300, 600);
    },
  },
  {
    name: 'kills',
    what: 'kill -9 of a replica, which starts again after a while',
    redisKeeps: 'memory',
    load: { guests: 3 },
    run: async (world) => {
      await world.repeat(5, async () => {
        await world.pause(500, 1500);
        const member = world.pick(world.members);
        await world.killReplica(member);
        await world.pause(0, 1500);
        await world.startReplica(member);
      });
    },
  },
  {
    name: 'stops',
    what: 'replicas and Redis are stopped for seconds (SIGSTOP) and go on',
    redisKeeps: 'memory',
    run: async (world) => {
      await world.repeat(4, async () => {
        await world.pause(500, 1500);
        const { replica } = world.pick(world.members);
        const [name, process] = world.random(3) === 0 ? ['Redis', world.redis] : [replica.name, replica];
        world.note(`SIGSTOP to ${name}`);
        process.signal('SIGSTOP');
        await world.pause(500, 6500);
        process.signal('SIGCONT');
        world.note(`SIGCONT to ${name}`);
      });
    },
  },
  {
    name: 'clock-skew',
    what: 'the clocks of the replicas are hours apart; cuts and kills meanwhile',
    redisKeeps: 'memory',
    clockShiftsMs: [3 * 3600_000, -2 * 3600_000],
    run: async (world) => {
      await world.repeat(3, async () => {
        for (let n = 0; n < 3; n++) {
          await world.pause(300, 800);
          const { replica, fromClients } = world.pick(world.members);
          world.note(`clients of ${replica.name} are cut off`);
          fromClients.cut();
        }
        const member = world.pick(world.members);
        await world.killReplica(member);
        await world.startReplica(member);
      });
    },
  },
  {
    name: 'rolling-restart',
    what: 'SIGTERM to one replica after the other, twice',
    redisKeeps: 'memory',
    run: async (world) => {
      for (let round = 0; round < 2; round++)
        for (const member of world.members) {
          await world.pause(800, 1500);
          await world.stopReplica(member);
          await world.startReplica(member);
          await member.replica.whenReady();
        }
    },
  },
];
