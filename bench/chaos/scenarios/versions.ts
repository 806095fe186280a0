import type { World } from '../world.js';
import type { Scenario } from './scenario.js';

/** The promises that the older release makes too, and that it works again afterwards. */
const checks = /^(P[1-4]|recovers|N4)/;
const mixedMs = 60_000;

/** A minute of both releases side by side, while clients move between them. */
async function mixed(world: World): Promise<void> {
  const endsAt = performance.now() + mixedMs;
  while (performance.now() < endsAt) {
    await world.pause(500, 2500);
    const { replica, fromClients } = world.pick(world.members);
    world.note(`clients of ${replica.name} are cut off`);
    fromClients.cut();
  }
}

/** Replicas of the older release and of this one on the same Redis. */
export const versionScenarios: readonly Scenario[] = [
  {
    name: 'upgrade',
    what: 'replicas of the older release run; one after the other is replaced by this one (needs --old)',
    redisKeeps: 'memory',
    needsOld: true,
    startsOld: [0, 1],
    checks,
    run: async (world) => {
      await world.pause(3000);
      await replace(world, 0, world.apps.current);
      await mixed(world);
      await replace(world, 1, world.apps.current);
      await world.pause(3000);
    },
  },
  {
    name: 'downgrade',
    what: 'replicas of this release run; one after the other is replaced by the older one, and back (needs --old)',
    redisKeeps: 'memory',
    needsOld: true,
    checks,
    run: async (world) => {
      await world.pause(3000);
      await replace(world, 0, world.apps.old!);
      await mixed(world);
      await replace(world, 1, world.apps.old!);
      await world.pause(3000);
      await replace(world, 1, world.apps.current);
    },
  },
];

async function replace(world: World, n: number, app: string): Promise<void> {
  const member = world.members[n]!;
  const release = app === world.apps.current ? 'this release' : 'the older release';
  world.note(`${member.replica.name} is replaced by ${release}`);
  await member.replica.terminate();
  await world.startReplica(member, app);
  await member.replica.whenReady();
}
