import type { FaultProxy } from '../faults/fault-proxy.js';
import type { Subscriber } from '../clients/subscriber.js';
import type { World } from '../world.js';
import type { Scenario } from './scenario.js';

/** A path, and its name. */
function anyPath(world: World): { path: FaultProxy; name: string } {
  const { replica, toRedis, fromClients } = world.pick(world.members);
  return world.random(2) === 0
    ? { path: toRedis, name: `the path from ${replica.name} to Redis` }
    : { path: fromClients, name: `the path from clients to ${replica.name}` };
}

/** Trouble of the network. */
export const networkScenarios: readonly Scenario[] = [
  {
    name: 'cuts',
    what: 'connections are cut in the midst of data, and are refused for a moment',
    redisKeeps: 'memory',
    run: async (world) => {
      await world.repeat(25, async () => {
        await world.pause(100, 700);
        const { path, name } = anyPath(world);
        world.note(`${name} is cut`);
        path.cut();
        if (world.random(3) > 0) return;
        path.state.isRefusing = true;
        await world.pause(100, 1200);
        path.heal();
      });
    },
  },
  {
    name: 'delays',
    what: 'paths become slow and fast again',
    redisKeeps: 'memory',
    run: async (world) => {
      await world.repeat(14, async () => {
        const { path, name } = anyPath(world);
        path.state.delayMs = world.pick([0, 5, 40, 150, 600]);
        world.note(`${name} is slower by ${path.state.delayMs} ms`);
        await world.pause(300, 1300);
        if (world.random(3) === 0) world.pick(world.subscribers).drop();
      });
    },
  },
  {
    name: 'half-open',
    what: 'paths carry nothing for seconds; clients vanish without a word and come back elsewhere',
    redisKeeps: 'memory',
    run: async (world) => {
      await world.repeat(5, async () => {
        await world.pause(500, 1200);
        if (world.random(2) === 0) {
          const { replica, fromClients } = world.pick(world.members);
          world.note(`the clients of ${replica.name} vanish`);
          fromClients.abandonNear();
          return;
        }
        const { path, name } = anyPath(world);
        world.note(`${name} carries nothing`);
        path.state.isHeld = true;
        await world.pause(1000, 6500);
        world.note(`${name} carries again`);
        path.heal();
      });
    },
  },
  {
    name: 'early-cuts',
    what: 'distant clients whose connections are cut while they are being made and restored',
    redisKeeps: 'memory',
    run: async (world) => {
      for (const { toRedis, fromClients } of world.members) {
        fromClients.state.delayMs = 20 + world.random(40);
        toRedis.state.delayMs = world.random(30);
      }
      await world.repeat(60, async () => {
        await world.pause(50, 400);
        const client = world.pick(world.subscribers);
        world.note(`${client.name} is cut off`);
        client.drop();
      });
    },
  },
  {
    name: 'duplicated-tabs',
    what: 'tabs are duplicated, so that two connections have one session; both go on, are cut off, and one is closed',
    redisKeeps: 'memory',
    run: async (world) => {
      const tabs: Subscriber[] = [];
      await world.repeat(7, async () => {
        await world.pause(300, 900);
        const originals = world.subscribers.filter(({ plan }) => plan.recovery === 'session');
        const original = world.pick(originals);
        tabs.push(world.duplicateTab(original));
        await world.pause(0, 2500);
        const cut = world.pick([original, tabs.at(-1)!]);
        world.note(`${cut.name} is cut off`);
        cut.drop();
        await world.pause(0, 800);
        if (tabs.length > 2) world.leaveForGood(tabs.splice(world.random(tabs.length), 1)[0]!);
      });
    },
  },
  {
    name: 'slow-readers',
    what: 'clients read nothing for seconds while much is published; the memory of replicas is bounded',
    redisKeeps: 'memory',
    load: { topics: 2, perSec: 60, payloadBytes: 8000 },
    run: async (world) => {
      const before = world.members.map(({ replica }) => replica.rssBytes());
      const peak = [...before];
      await world.repeat(14, async () => {
        const slow = world.pick(world.subscribers);
        const forMs = 500 + world.random(3000);
        world.note(`${slow.name} reads nothing for ${forMs} ms`);
        slow.pauseReading(forMs);
        await world.pause(600, 1000);
        for (const [n, { replica }] of world.members.entries())
          peak[n] = Math.max(peak[n]!, replica.rssBytes());
      });
      for (const [n, { replica }] of world.members.entries())
        world.recorder.add({
          kind: 'memory',
          replica: replica.name,
          growthBytes: peak[n]! - before[n]!,
          limitBytes: 200 * 2 ** 20,
        });
    },
  },
];
