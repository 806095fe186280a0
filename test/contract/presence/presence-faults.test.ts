import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Closing } from '../../support/closing.js';
import { PresenceReplica } from '../../support/presence-replica.js';
import { TestRedis } from '../../support/redis.js';
import { seededRandom } from '../../../bench/seeded-random.js';
import { until } from '../../support/wait.js';

const topics = ['t', 'u'];
const users = ['ann', 'bob', 'cat', 'dan', 'eve'];
const rounds = 5;
const faultsPerRound = 40;
const hourMs = 3_600_000;

describe('presence under random faults', function () {
  this.timeout(180_000);
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  const closing = new Closing();
  afterEach(() => closing.close());

  it(`equals who is connected, and watchers know it, after ${rounds * faultsPerRound} faults (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const pick = <T>(of: readonly T[]): T => of[random(of.length)]!;
    const redis = await closing.started(TestRedis.start());
    const replicas: PresenceReplica[] = [];
    closing.add(() => Promise.all(replicas.map((replica) => replica.kill())));
    const frozen = new Set<PresenceReplica>();
    const history: string[] = [];
    let started = 0;
    let isShed = false;

    const start = async () => {
      const replica = await PresenceReplica.start(redis.port, `r${++started}`);
      if (isShed) replica.service.setShed(true);
      replicas.push(replica);
      for (const topic of topics) void replica.watch(topic);
    };
    const end = async (how: 'kill' | 'stop') => {
      const replica = pick(replicas);
      replicas.splice(replicas.indexOf(replica), 1);
      frozen.delete(replica);
      await replica[how]();
      await start();
    };
    const move = () => {
      const replica = pick(replicas);
      const [topic, user] = [pick(topics), pick(users)];
      if (random(2) === 0) replica.join(topic, user);
      else replica.leave(topic, user);
    };
    /** The clock of Redis jumps: the times that are stored are off by hours. */
    const shiftClock = async (by: number) => {
      for (const key of ['rtc:replicas', 'rtc:replicas:leases'])
        for (const { id } of replicas) await redis.command(`ZINCRBY ${key} ${by} ${id}`);
    };
    /** What version 0.1 does at each heartbeat. */
    const oldBeat = async () => {
      await redis.command(`ZADD rtc:replicas ${Date.now()} old`);
      await redis.command(`ZREMRANGEBYSCORE rtc:replicas -inf ${Date.now() - 300}`);
    };
    const faults: Readonly<Record<string, () => Promise<unknown>>> = {
      kill: () => end('kill'),
      stop: () => end('stop'),
      freeze: async () => {
        const replica = pick(replicas);
        frozen.add(replica);
        replica.path.state.isHeld = true;
      },
      thaw: async () => {
        for (const replica of frozen) replica.path.heal();
        frozen.clear();
      },
      cut: async () => pick(replicas).path.cut(),
      flush: () => redis.command('FLUSHALL'),
      evictRegistry: () => redis.command(`DEL rtc:replicas${pick(['', ':leases', ':departed', ':records'])}`),
      evictTopics: () => redis.command(`DEL rtc:presence-topics:${pick(replicas).id}`),
      evictPresence: () => redis.command(`DEL rtc:{${pick(topics)}}:presence`),
      restart: async () => {
        await redis.signal('SIGKILL');
        await redis.run();
      },
      stall: async () => {
        await redis.signal('SIGSTOP');
        await sleep(random(300));
        await redis.signal('SIGCONT');
      },
      clockForward: () => shiftClock(-hourMs),
      clockBack: () => shiftClock(hourMs),
      oldBeat,
      shed: async () => {
        isShed = !isShed;
        for (const { service } of replicas) service.setShed(isShed);
      },
    };

    for (let i = 0; i < 3; i++) await start();
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < faultsPerRound; i++) {
        for (let moves = random(6); moves > 0; moves--) move();
        const name = pick(Object.keys(faults));
        history.push(name);
        await faults[name]!();
        await sleep(random(40));
      }
      await faults['thaw']!();
      if (isShed) await faults['shed']!();
      await settled(
        replicas,
        () => `seed ${seed}, round ${round}: ${history.slice(-faultsPerRound).join(' ')}`,
      );
    }
  });
});

/** Waits until every replica says, and every watcher believes, what is true. */
async function settled(replicas: readonly PresenceReplica[], what: () => string): Promise<void> {
  let difference = '';
  const isSettled = async () => {
    difference = '';
    for (const topic of topics) {
      const counts = new Map<string, number>();
      for (const { connections } of replicas)
        for (const [userId, count] of connections.get(topic) ?? [])
          if (count > 0) counts.set(userId, (counts.get(userId) ?? 0) + count);
      const truth = JSON.stringify([...counts].sort());
      for (const replica of replicas) {
        const answer = await replica.ask(topic);
        const said = JSON.stringify(answer?.users.map((user) => [user.user_id, user.connections]).sort());
        if (said !== truth) difference += `${replica.id} says ${said} of ${topic}, true is ${truth}; `;
        const believed = JSON.stringify([...(replica.believed.get(topic) ?? [])].sort());
        const present = JSON.stringify([...counts.keys()].sort());
        if (believed !== present)
          difference += `the watcher on ${replica.id} believes ${believed} of ${topic}, true is ${present}; `;
      }
    }
    return difference === '';
  };
  await until(isSettled, 'presence is right again', 30_000).catch((error: unknown) => {
    assert.fail(`${what()}: ${difference} (${String(error)})`);
  });
}
