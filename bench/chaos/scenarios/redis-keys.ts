import type { World } from '../world.js';
import type { Scenario } from './scenario.js';

const prefix = 'rtc:';
/** Where a key goes that is taken away: not under the prefix. */
const awayPrefix = 'away:';

/** All keys of the service, in an order that does not depend on Redis. */
async function keysOf(world: World): Promise<string[]> {
  const keys = (await world.redis.command('KEYS', `${prefix}*`)) as string[];
  return keys.sort();
}

/** What a key is for: its name without the parts that name a topic, a user, a replica or a message. */
function kindOf(key: string): string {
  return key
    .replace(/\{[^}]*\}/, '{}')
    .replace(/:(k|o):.*$/, ':$1:')
    .replace(/:(session|presence-topics|presence-sweep|connections|user-connections|bus):[^{].*$/, ':$1:');
}

/** A key: first a kind, so that the few keys of replicas are as likely as the many of messages. */
async function pickKey(world: World): Promise<string | undefined> {
  const byKind = new Map<string, string[]>();
  for (const key of await keysOf(world)) {
    const kind = kindOf(key);
    byKind.set(kind, [...(byKind.get(kind) ?? []), key]);
  }
  const kinds = [...byKind.values()];
  return kinds.length === 0 ? undefined : world.pick(world.pick(kinds));
}

/** What is stored by now may be lost. */
function noteLoss(world: World, what: string): void {
  world.note(what, { fromMs: 0, untilMs: world.recorder.now });
}

async function removeKey(world: World, key: string): Promise<void> {
  await world.redis.command('DEL', key);
  noteLoss(world, `DEL ${key}`);
}

/**
 * The key is away for a moment, and comes back with its former value: newer values of it are lost. Not for the two keys of
 * a log: one of them that comes back from an earlier life of the log, without the other one, makes a log that never was.
 */
async function takeKeyAway(world: World, key: string): Promise<void> {
  await world.redis.command('RENAME', key, awayPrefix + key).catch(() => {});
  noteLoss(world, `RENAME ${key}`);
  await world.pause(200, 2500);
  await world.redis.command('RENAME', awayPrefix + key, key).catch(() => {});
  noteLoss(world, `RENAME back of ${key}`);
}

/** Somebody else writes a value of another type under the name of a key, and removes it after a while. */
async function replaceKey(world: World, key: string): Promise<void> {
  const type = await world.redis.command('TYPE', key);
  const replace = `redis.call('DEL', KEYS[1]) redis.call(ARGV[1], KEYS[1], 'strange')`;
  await world.redis.command('EVAL', replace, '1', key, type === 'string' ? 'RPUSH' : 'SET');
  noteLoss(world, `a strange value at ${key}`);
  await world.pause(500, 3000);
  await world.redis.command('DEL', key);
  noteLoss(world, `the strange value at ${key} is removed`);
}

/** What an operator or a script does to the connections of a Redis, which keeps all its data. */
const connectionFaults: readonly (readonly string[])[] = [
  ['CLIENT', 'KILL', 'TYPE', 'normal'],
  ['CLIENT', 'KILL', 'TYPE', 'pubsub'],
  ['CLIENT', 'PAUSE', '400', 'ALL'],
  ['CLIENT', 'PAUSE', '2500', 'ALL'],
  ['CLIENT', 'PAUSE', '400', 'WRITE'],
  ['CLIENT', 'PAUSE', '2500', 'WRITE'],
  ['SCRIPT', 'FLUSH'],
];

/** What other people do to a Redis. */
export const redisKeyScenarios: readonly Scenario[] = [
  {
    name: 'lost-keys',
    what: 'single keys of the service are removed from Redis, or are taken away and come back',
    redisKeeps: 'memory',
    run: async (world) => {
      await world.repeat(40, async () => {
        const key = await pickKey(world);
        if (key === undefined) return;
        const isOfLog = /:(log|meta)$/.test(key);
        await (isOfLog ? removeKey : world.pick([removeKey, takeKeyAway]))(world, key);
        await world.pause(100, 800);
      });
    },
  },
  {
    name: 'strange-keys',
    what: 'single keys of the service are replaced by values of another type, which are removed after a while',
    redisKeeps: 'memory',
    run: async (world) => {
      await world.repeat(12, async () => {
        const key = await pickKey(world);
        if (key !== undefined) await replaceKey(world, key);
        await world.pause(100, 800);
      });
    },
  },
  {
    name: 'redis-clients',
    what: 'a Redis that keeps its data ends or pauses connections, and forgets its scripts',
    redisKeeps: 'memory',
    run: async (world) => {
      await world.repeat(25, async () => {
        const command = world.pick(connectionFaults);
        world.note(command.join(' '));
        // The connection of this command may be among those that are ended.
        await world.redis.command(...command).catch(() => {});
        await world.pause(100, 1500);
      });
    },
  },
];
