import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import type { Message } from '../../shared/message.js';
import type { Position } from '../../shared/position.js';
import { connectClient, emit } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { promptReplication, TestRedis } from '../support/redis.js';
import { tokenOf } from '../support/replica.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/wait.js';

interface Gap extends Position {
  readonly topic: string;
  readonly reason: string;
  readonly previous: Position;
}

interface Reader {
  readonly socket: Socket;
  readonly messages: Message[];
  readonly gaps: Gap[];
}

/** A replica of the service with a path of its own to Redis. */
interface Replica {
  readonly name: string;
  readonly path: TcpProxy;
  readonly service: EmbeddedService;
}

describe('[P5] two primaries of Redis that both accept writes', function () {
  this.timeout(90_000);
  const services: EmbeddedService[] = [];
  const servers: TestRedis[] = [];
  const paths: TcpProxy[] = [];
  const sockets: Socket[] = [];
  let older: TestRedis;
  let newer: TestRedis;

  const startRedis = async () => {
    const redis = await TestRedis.start('none', promptReplication);
    servers.push(redis);
    return redis;
  };
  const hasAll = () => newer.hasAllOf(older);
  const startReplica = async (name: string, redis: TestRedis): Promise<Replica> => {
    const path = await TcpProxy.start(redis.port);
    paths.push(path);
    const service = await startEmbedded({
      REDIS_URL: path.url,
      REPLICA_ID: name,
      LOG_LEVEL: 'off',
      RTC_REDIS_OUTCOME_LIMIT_MS: '1000',
      // What is found must not be found by chance.
      RTC_TOPICS_POSITION_CHECK_SECS: '600',
    });
    services.push(service);
    return { name, path, service };
  };
  const read = async ({ service }: Replica, user: string, ...topics: string[]): Promise<Reader> => {
    const socket = await connectClient(service.url, user);
    sockets.push(socket);
    const reader: Reader = { socket, messages: [], gaps: [] };
    socket.on('message', (message: Message, confirm?: () => void) => {
      reader.messages.push(message);
      confirm?.();
    });
    socket.on('gap', (gap: Gap) => reader.gaps.push(gap));
    if (topics.length > 0) assert.equal((await emit(socket, 'subscribe', { topics })).ok, true);
    return reader;
  };
  const publish = async ({ socket }: Reader, payload: unknown, topic = 't') => {
    const answer = await emit(socket, 'publish', { topic, payload });
    return answer as typeof answer & Position;
  };
  const stored = async (reader: Reader, payload: unknown, topic = 't') => {
    const answer = await publish(reader, payload, topic);
    assert.equal(answer.ok, true, JSON.stringify(answer));
    return answer;
  };
  /** Publishes until it is stored: Redis may be between two states. */
  const storedSoon = (reader: Reader, payload: unknown) =>
    until(async () => (await publish(reader, payload)).ok, 'a publish is stored', 30_000);
  const received = (reader: Reader, payload: unknown) =>
    until(
      () => reader.messages.some((message) => message.payload === payload),
      `${String(payload)} arrives`,
      30_000,
    );
  const isReady = async ({ service }: Replica) =>
    (await fetch(`${service.url}/health/ready`).catch(() => undefined))?.ok === true;
  const health = async ({ service }: Replica) =>
    (await (await fetch(`${service.url}/health`)).json()) as {
      problems: string[];
      redis: { outage: string | null };
    };
  const alertsOf = async ({ service, name }: Replica) => {
    const headers = { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` };
    const { alerts } = (await (await fetch(`${service.url}/admin/alerts`, { headers })).json()) as {
      alerts: { kind: string; replica_id: string; details: Record<string, unknown> }[];
    };
    return alerts.filter(({ kind, replica_id }) => kind === 'redis_stale_primary' && replica_id === name);
  };
  const noPositionTwice = (readers: readonly Reader[]) => {
    const found = new Map<string, unknown>();
    for (const { messages } of readers)
      for (const { topic, epoch, sequence, payload } of messages) {
        const position = `${topic} ${epoch}:${sequence}`;
        assert.equal(found.get(position) ?? payload, payload, position);
        found.set(position, payload);
      }
  };

  beforeEach(async () => {
    [older, newer] = [await startRedis(), await startRedis()];
    await newer.replicate(older);
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.disconnect();
    await Promise.all(services.splice(0).map(({ service }) => service.close()));
    await Promise.all(paths.splice(0).map((path) => path.stop()));
    await Promise.all(servers.splice(0).map((redis) => redis.stop()));
  });

  it('are told apart by a replica whose open connections stay with the older one: it moves, and its subscribers are told what is lost', async () => {
    const [left, moved] = [await startReplica('left', older), await startReplica('moved', older)];
    const [ann, bob] = [await read(left, 'ann', 't', 'quiet'), await read(moved, 'bob', 't')];
    for (const payload of ['a', 'b', 'c']) await stored(ann, payload);
    await stored(ann, 'q', 'quiet');
    await received(bob, 'c');
    await until(hasAll, 'the other has the messages', 20_000);
    await newer.promote();
    moved.path.leadTo(newer.port);
    moved.path.cut();
    await storedSoon(bob, 'new side');
    for (const payload of ['lost 1', 'lost 2', 'lost 3']) await stored(ann, payload);
    await received(ann, 'lost 3');

    left.path.leadTo(newer.port);
    await received(ann, 'new side');
    assert.deepEqual(
      ann.gaps.map(({ topic, reason, previous, sequence }) => [topic, reason, previous.sequence, sequence]),
      [['t', 'log_rolled_back', 6, 3]],
    );
    assert.deepEqual(bob.gaps, []);
    await storedSoon(ann, 'together');
    await Promise.all([received(ann, 'together'), received(bob, 'together')]);
    const notes: unknown[] = [];
    bob.socket.on('note', (note) => notes.push(note));
    await until(() => {
      left.service.service.io.emit('note', 1);
      return notes.length > 0;
    }, 'broadcasts of Socket.IO reach the other replica');
    noPositionTwice([ann, bob]);
    const { messages } = await emit(bob.socket, 'history', { topic: 't', limit: 100 });
    assert.deepEqual(
      (messages as Message[]).map(({ payload }) => payload),
      ['a', 'b', 'c', 'new side', 'together'],
    );
    const [alert, ...others] = await alertsOf(left);
    assert.equal(alert?.details['was_used'], true);
    assert.match(String(alert.details['remedy']), /REPLICAOF.*min-replicas-to-write/);
    assert.deepEqual(others, []);
    assert.deepEqual(await alertsOf(moved), []);
  });

  it('are told apart among the replicas: one that has met both tells those at the older one, which store nothing there any more', async () => {
    const [left, both] = [await startReplica('left', older), await startReplica('both', older)];
    const [ann, bob] = [await read(left, 'ann', 't'), await read(both, 'bob', 't')];
    for (const payload of ['a', 'b', 'c']) await stored(ann, payload);
    await received(bob, 'c');
    await until(hasAll, 'the other has the messages', 20_000);
    await newer.promote();
    both.path.leadTo(newer.port);
    both.path.cut();
    await storedSoon(bob, 'new side');
    await stored(ann, 'lost');
    await received(ann, 'lost');

    both.path.leadTo(older.port);
    await until(
      async () => {
        const refused = await publish(ann, 'before it is known');
        return !refused.ok && refused.error?.code === 'unavailable';
      },
      'nothing is stored in the older one',
      30_000,
    );
    await until(async () => (await health(left)).redis.outage === 'stale', 'it says why', 20_000);
    assert.match((await health(left)).problems[0]!, /^Redis is a stale primary: publishes .* are refused/);
    assert.equal(await isReady(left), false);
    assert.equal((await publish(ann, 'refused')).ok, false);
    // The open connections of the other replica stay with the newer one.
    await stored(bob, 'new side 2');
    for (const replica of [left, both])
      assert.deepEqual(
        (await alertsOf(replica)).map(({ details }) => details['was_used']),
        [replica === left],
        replica.name,
      );
    // It is no better when it connects again.
    both.path.cut();
    await until(async () => !(await publish(bob, 'before it is known')).ok, 'it uses neither');

    await older.replicate(newer);
    await older.promote();
    await storedSoon(ann, 'together');
    await Promise.all([received(ann, 'together'), received(bob, 'together')]);
    assert.deepEqual(
      ann.gaps.map(({ reason, previous }) => [reason, previous.sequence >= 4]),
      [['log_rolled_back', true]],
    );
    noPositionTwice([ann, bob]);
    assert.ok(!JSON.stringify([...ann.messages, ...bob.messages]).includes('refused'));
    for (const replica of [left, both]) assert.equal((await health(replica)).redis.outage, null);
  });

  it('are no two where Redis wants a replica for each write: the older one stores nothing any more', async () => {
    for (const setting of ['min-replicas-max-lag 1', 'min-replicas-to-write 1'])
      await older.command(`CONFIG SET ${setting}`);
    const replica = await startReplica('a', older);
    const ann = await read(replica, 'ann', 't');
    await storedSoon(ann, 'a');
    await newer.promote();
    await until(
      async () => (await publish(ann, 'refused')).error?.code === 'unavailable',
      'it is refused',
      20_000,
    );
    await until(
      async () => ((await health(replica)).problems[0] ?? '').startsWith('Redis refuses writes'),
      'it says so',
      20_000,
    );
  });

  it('do not share the two connections of a replica', async () => {
    const [reader, writer] = [await startReplica('reader', older), await startReplica('writer', older)];
    const ann = await read(reader, 'ann', 't');
    const eve = await read(writer, 'eve');
    await stored(eve, 'a');
    await received(ann, 'a');
    await newer.promote();
    reader.path.leadTo(newer.port);
    reader.path.cut('subscriptions');
    // Long enough for the subscription to be made there, too short to find the other primary at the address.
    await until(
      async () =>
        (await newer.command('PUBSUB NUMSUB rtc:{t}')) !== undefined && (await channelsOf(newer)) > 0,
      'the subscriptions are at the newer one',
    );
    reader.path.leadTo(older.port);
    await stored(eve, 'b');
    await received(ann, 'b');
  });

  const channelsOf = async (redis: TestRedis) => Number((await redis.info('stats')).get('pubsub_channels'));

  it('are no matter where the older one has ended before, and where it is the same one under another name', async () => {
    const replica = await startReplica('a', older);
    const ann = await read(replica, 'ann', 't');
    await stored(ann, 'a');
    await until(hasAll, 'the other has the message', 20_000);
    // A first replica gives the history of a Redis another name.
    const third = await startRedis();
    await third.replicate(newer);
    await older.signal('SIGKILL');
    await newer.promote();
    replica.path.leadTo(newer.port);
    await storedSoon(ann, 'b');
    await (await startRedis()).replicate(newer);
    await storedSoon(ann, 'c');
    await received(ann, 'c');
    assert.deepEqual(ann.gaps, []);
    assert.deepEqual(await alertsOf(replica), []);
  });
});
