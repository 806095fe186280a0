import type { RedisServer } from '../processes/redis-server.js';
import { need } from '../processes/wait.js';
import type { World } from '../world.js';
import { acknowledgedSince } from './acknowledged-since.js';
import type { Scenario } from './scenario.js';

/** Messages that the replica of Redis lacks when it takes over, at least. */
const lostAtLeast = 50;
/** Sentinel waits for votes, for its own pauses, and for a busy machine. */
const failoverLimitMs = 90_000;

/** Longer than a failover. */
const awayMs = 8000;

/** How the primary goes. Resolves to what brings it back. */
interface Failure {
  readonly what: string;
  readonly begin: (primary: RedisServer) => Promise<() => Promise<void> | void>;
}

const killed: Failure = {
  what: 'kill -9 of the primary',
  begin: async (primary) => {
    await primary.kill();
    return () => primary.run();
  },
};

const stalled: Failure = {
  what: 'the primary stalls',
  begin: async (primary) => {
    primary.signal('SIGSTOP');
    return () => primary.signal('SIGCONT');
  },
};

const hidden: Failure = {
  what: 'the Sentinels do not reach the primary any more, the replicas of the service still do',
  begin: (primary) => primary.hideFromSentinels(),
};

/**
 * A replica of Redis that lacks acknowledged messages takes over. The former primary comes back with them, and becomes
 * its replica.
 */
async function failover(world: World, from: RedisServer, to: RedisServer, failure: Failure): Promise<void> {
  const fromMs = world.recorder.now;
  await to.fallBehind(from);
  world.note('the replica of Redis falls behind');
  await acknowledgedSince(world, world.recorder.now, lostAtLeast);
  // Two that come back with positions, and two with a session.
  for (const n of [0, 1, 3, 4]) world.subscribers[n]!.stayAway(awayMs);
  world.note('four clients stay away');
  const comeBack = await failure.begin(from);
  world.note(failure.what);
  await promoted(world, to);
  world.note('the service uses the other one', { fromMs, untilMs: world.recorder.now });
  await comeBack();
  world.note('the former primary is back');
  await demoted(from);
}

async function promoted(world: World, to: RedisServer): Promise<void> {
  await need(
    async () => (await world.sentinels!.primaryPort()) === to.port,
    'Sentinel has moved',
    failoverLimitMs,
  );
  world.note('Sentinel has promoted the replica');
  await to.mayFollow();
  await usedByAll(world, to);
}

async function demoted(redis: RedisServer): Promise<void> {
  // Becoming a replica ends its connections.
  const says = async (field: string, value: string) =>
    (await redis.info(field).catch(() => undefined)) === value;
  await need(() => says('role', 'slave'), 'the former primary is a replica', failoverLimitMs);
  await need(() => says('master_link_status', 'up'), 'it has the data', failoverLimitMs);
}

/** Every replica of the service has left the former primary, and its subscriptions are here. */
async function usedByAll(world: World, redis: RedisServer): Promise<void> {
  await need(async () => {
    const clients = String(await redis.command('CLIENT', 'LIST')).split('\n');
    const subscribing = clients.filter(
      (client) => / sub=[1-9]\d* psub=0 /.test(client) && !client.includes(' name=sentinel-'),
    );
    return subscribing.length >= world.members.length;
  }, 'the service is connected');
  for (const { replica } of world.members) await replica.whenReady();
}

function scenarioOf(name: string, failure: Failure): Scenario {
  return {
    name,
    what: `${failure.what}: Sentinel promotes a replica that lacks ${lostAtLeast} acknowledged messages, then the former primary comes back`,
    redisKeeps: 'disk',
    hasStandby: true,
    hasSentinels: true,
    run: async (world) => {
      await world.pause(500, 1500);
      await failover(world, world.redis, world.standby!, failure);
    },
  };
}

/** Nothing keeps the replica of Redis from its primary: it lacks what was under way. */
async function suddenFailover(world: World): Promise<void> {
  const from = world.redis;
  const fromMs = world.recorder.now;
  await acknowledgedSince(world, fromMs, lostAtLeast);
  const comeBack = await killed.begin(from);
  world.note(killed.what);
  await promoted(world, world.standby!);
  world.note('the service uses the other one', { fromMs, untilMs: world.recorder.now, keeps: 'replicated' });
  await comeBack();
  await demoted(from);
  world.note('the former primary is its replica');
}

/** Redis under Sentinel. */
export const sentinelScenarios: readonly Scenario[] = [
  scenarioOf('sentinel-kill', killed),
  scenarioOf('sentinel-stall', stalled),
  scenarioOf('sentinel-hidden', hidden),
  {
    name: 'sentinel-replicated',
    what: 'kill -9 of the primary under Sentinel: what was acknowledged as replicated is not lost',
    redisKeeps: 'disk',
    hasStandby: true,
    hasSentinels: true,
    settings: { RTC_REDIS_WAIT_REPLICAS: '1' },
    run: async (world) => {
      await world.pause(500, 1500);
      await suddenFailover(world);
    },
  },
];
