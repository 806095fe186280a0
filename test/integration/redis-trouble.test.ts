import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import type { Socket } from 'socket.io-client';
import type { Message } from '../../shared/message.js';
import type { Position } from '../../shared/position.js';
import { connectClient, emit } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { promptReplication, TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/wait.js';

interface Gap extends Position {
  readonly reason: string;
  readonly previous: Position;
}

/** A client that records what it receives. */
interface Reader {
  readonly socket: Socket;
  readonly messages: Message[];
  readonly gaps: Gap[];
}

describe('replicas whose Redis is in trouble', function () {
  this.timeout(60_000);
  const services: EmbeddedService[] = [];
  const servers: TestRedis[] = [];
  const proxies: TcpProxy[] = [];
  const sockets: Socket[] = [];

  const startRedis = async (more: readonly string[] = []) => {
    const redis = await TestRedis.start('none', [...promptReplication, ...more]);
    servers.push(redis);
    return redis;
  };
  const startService = async (url: string, name: string, more: NodeJS.ProcessEnv = {}) => {
    const service = await startEmbedded({ REDIS_URL: url, REPLICA_ID: name, ...more });
    services.push(service);
    return service;
  };
  const read = async ({ url }: EmbeddedService, user: string): Promise<Reader> => {
    const socket = await connectClient(url, user);
    sockets.push(socket);
    const reader: Reader = { socket, messages: [], gaps: [] };
    socket.on('message', (message: Message, confirm?: () => void) => {
      reader.messages.push(message);
      confirm?.();
    });
    socket.on('direct', (_message: Message, confirm: () => void) => confirm());
    socket.on('gap', (gap: Gap) => reader.gaps.push(gap));
    return reader;
  };
  const subscribe = async ({ socket }: Reader, topic: string, since?: Position) => {
    const answer = await emit(socket, 'subscribe', {
      topics: [topic],
      ...(since && { since: { [topic]: since } }),
    });
    return (answer['topics'] as (Position & { recovered?: boolean; missed?: number })[])[0]!;
  };
  const publish = async ({ socket }: Reader, topic: string, payload: unknown, more: object = {}) => {
    const answer = await emit(socket, 'publish', { topic, payload, ...more });
    return answer as typeof answer & Position;
  };
  const sessionIdOf = (socket: Socket) =>
    (socket as unknown as { readonly status: { readonly session_id: string } }).status.session_id;
  const payloads = ({ messages }: Reader) => messages.map(({ payload }) => payload);
  const positionOf = ({ epoch, sequence }: Position) => ({ epoch, sequence });
  const isReady = async ({ url }: EmbeddedService) =>
    (await fetch(`${url}/health/ready`).catch(() => undefined))?.ok === true;

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.disconnect();
    await Promise.all(services.splice(0).map(({ service }) => service.close()));
    await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
    await Promise.all(servers.splice(0).map((redis) => redis.stop()));
  });

  it('[P5] tell every subscriber of a tail that was lost under the same run_id, and give no position two messages', async () => {
    const redis = await startRedis();
    const other = await startRedis();
    await other.replicate(redis);
    const pair = [await startService(redis.url, 'a'), await startService(redis.url, 'b')] as const;
    const readers = [await read(pair[0], 'ann'), await read(pair[1], 'bob')];
    for (const reader of readers) {
      await subscribe(reader, 't');
      await subscribe(reader, 'quiet');
    }
    const sender = await read(pair[0], 'eve');
    const stored = [];
    stored.push(await publish(sender, 'quiet', 'q'));
    for (const payload of ['a', 'b', 'c']) stored.push(await publish(sender, 't', payload));
    await until(() => other.hasAllOf(redis), 'the other has the messages', 20_000);
    await other.promote();
    for (const payload of ['lost 1', 'lost 2', 'lost 3']) await publish(sender, 't', payload);
    await until(
      () => readers.every((reader) => payloads(reader).includes('lost 3')),
      'they have seen the tail',
    );
    const runId = (await redis.info('server')).get('run_id');
    await redis.replicate(other);
    await redis.promote();
    assert.equal((await redis.info('server')).get('run_id'), runId);

    await until(() => readers.every(({ gaps }) => gaps.length > 0), 'every subscriber is notified', 20_000);
    await until(async () => (await Promise.all(pair.map(isReady))).every(Boolean), 'both are ready', 20_000);
    for (const payload of ['d', 'e', 'f', 'g']) stored.push(await publish(sender, 't', payload));
    await until(() => readers.every((reader) => payloads(reader).includes('g')), 'they go on');
    const positions = new Map<string, unknown>();
    for (const { messages, gaps } of readers) {
      assert.deepEqual(
        gaps.map(({ reason, sequence, previous }) => [reason, previous.sequence, sequence]),
        [['log_rolled_back', 6, 3]],
      );
      for (const { topic, epoch, sequence, payload } of messages) {
        const position = `${topic} ${epoch}:${sequence}`;
        assert.equal(positions.get(position) ?? payload, payload, position);
        positions.set(position, payload);
      }
    }
    const { messages } = await emit(sender.socket, 'history', { topic: 't', limit: 100 });
    assert.deepEqual((messages as Message[]).map(positionOf), stored.slice(1).map(positionOf));
  });

  it('[S3.7] tell a client that comes back with its session of a lost tail, although the replica that knew how far it was is killed', async () => {
    const redis = await startRedis();
    const other = await startRedis();
    await other.replicate(redis);
    const killed = await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: 'killed' });
    try {
      const service = await startService(redis.url, 'left');
      const sender = await read(service, 'eve');
      const client = await connectClient(killed.url, 'ann');
      sockets.push(client);
      const seen: unknown[] = [];
      client.on('message', ({ payload }: Message, confirm?: () => void) => {
        seen.push(payload);
        confirm?.();
      });
      const { session_id: session } = client.status as unknown as { session_id: string };
      await emit(client, 'subscribe', { topics: ['t'] });
      const { epoch } = await publish(sender, 't', 'kept', { confirm: 'delivered' });
      const headers = { Authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` };
      await until(async () => {
        const answer = await fetch(`${service.url}/admin/sessions/${session}`, { headers });
        const { topics } = (await answer.json()) as { topics?: Record<string, Position> };
        return topics?.['t']?.epoch === epoch && (await other.hasAllOf(redis));
      }, 'the other has the session');
      await other.promote();
      await publish(sender, 't', 'lost');
      await until(() => seen.includes('lost'), 'it has seen the tail');
      await killed.end('SIGKILL');
      await redis.replicate(other);
      await redis.promote();
      await until(() => isReady(service), 'the other replica is ready', 20_000);
      await publish(sender, 't', 'new');
      const back = await connectClient(service.url, 'ann', { auth: { session_id: session } });
      sockets.push(back);
      const status = back.status as unknown as {
        session_id: string;
        recovered: boolean;
        topics: { topic: string; recovered: boolean }[];
      };
      assert.deepEqual(
        [
          status.session_id,
          status.recovered,
          status.topics.map(({ topic, recovered }) => [topic, recovered]),
        ],
        [session, false, [['t', false]]],
      );
    } finally {
      await killed.end('SIGKILL');
    }
  });

  it('[S3.8] tell nobody of a loss whose topic was quiet since Redis was restarted with all its data, although the replica that knew how far they were is killed', async () => {
    const redis = await TestRedis.start('aof', ['--appendfsync', 'always']);
    servers.push(redis);
    const service = await startService(redis.url, 'left');
    const killed = await TestReplica.start({
      REDIS_URL: redis.url,
      REPLICA_ID: 'killed',
      RTC_WEBSOCKET_HEARTBEAT_INTERVAL_SECS: '1',
    });
    try {
      const sender = await read(service, 'eve');
      const client = await connectClient(killed.url, 'ann');
      sockets.push(client);
      await emit(client, 'subscribe', { topics: ['t'] });
      const { epoch } = await publish(sender, 't', 'first');
      await redis.signal('SIGKILL');
      await redis.run();
      const headers = { Authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` };
      const { session_id: session } = client.status as unknown as { session_id: string };
      await until(
        async () => {
          const answer = await fetch(`${service.url}/admin/sessions/${session}`, { headers });
          const stored = ((await answer.json()) as { topics?: Record<string, Position> }).topics?.['t'];
          return stored?.sequence === 1 && stored.epoch !== epoch;
        },
        'the session is in the new epoch',
        30_000,
      );
      await killed.end('SIGKILL');
      const back = await connectClient(service.url, 'ann', { auth: { session_id: session } });
      sockets.push(back);
      assert.deepEqual([back.status['session_id'], back.status['recovered']], [session, true]);
    } finally {
      await killed.end('SIGKILL');
    }
  });

  it('[P2.2] bring the feed up to the position of a client that was served by a replica ahead of it', async () => {
    const redis = await startRedis();
    const proxy = await TcpProxy.start(redis.port);
    proxies.push(proxy);
    const ahead = await startService(redis.url, 'a');
    const late = await startService(proxy.url, 'b', { RTC_REDIS_STALL_LIMIT_MS: '3000' });
    const bystander = await read(late, 'bob');
    await subscribe(bystander, 't');
    const sender = await read(ahead, 'eve');
    await publish(sender, 't', 1);
    await until(() => bystander.messages.length === 1, 'the late replica has the first message');
    proxy.hold('subscriptions');
    let last!: Position;
    for (const payload of [2, 3, 4, 5]) last = positionOf(await publish(sender, 't', payload));
    const returning = await read(late, 'ann');
    const answer = await subscribe(returning, 't', last);
    assert.deepEqual([answer.sequence, answer.recovered, answer.missed], [5, true, 0]);
    await until(() => bystander.messages.length === 5, 'the feed has been read from the log');
    // With a new connection for subscriptions, live messages arrive again.
    await until(
      async () => {
        await publish(sender, 't', 6);
        await sleep(200);
        return returning.messages.length > 0;
      },
      'live messages',
      40_000,
    );
    assert.equal(returning.messages[0]!.sequence, 6);
    for (const { messages, gaps } of [returning, bystander]) {
      assert.deepEqual(gaps, []);
      messages.forEach(({ sequence }, n) => assert.equal(sequence, messages[0]!.sequence + n));
    }
  });

  it('[P6.1] do not wait for the acknowledgements of strangers who watch the channels of Redis', async () => {
    const redis = await startRedis();
    const [a, b] = [await startService(redis.url, 'a'), await startService(redis.url, 'b')];
    const reader = await read(a, 'ann');
    await subscribe(reader, 't');
    const stranger = createClient({ url: redis.url, RESP: 2 });
    await stranger.connect();
    try {
      await stranger.pSubscribe('*', () => {});
      await stranger.subscribe('rtc:{t}', () => {});
      const sender = await read(b, 'eve');
      const timeout_ms = 20_000;
      const startedAt = performance.now();
      const published = await publish(sender, 't', 1, { confirm: 'delivered', timeout_ms });
      assert.deepEqual([published['delivered'], published['expected']], [1, 1]);
      const direct = await emit(sender.socket, 'direct', { to: 'ann', payload: 1, timeout_ms });
      assert.deepEqual([direct['delivered'], direct['recipients']], [1, 1]);
      const nobody = await emit(sender.socket, 'direct', { to: 'nobody', payload: 1, timeout_ms });
      assert.deepEqual([nobody['delivered'], nobody['recipients']], [0, 0]);
      const unread = await publish(sender, 'unread', 1, { confirm: 'delivered', timeout_ms });
      assert.equal(unread['expected'], 0);
      assert.ok(performance.now() - startedAt < timeout_ms / 2, 'none of the four waits for its time-out');
    } finally {
      stranger.destroy();
    }
  });

  it('[P2.3] find what was missed in other topics although the log of one cannot be read', async () => {
    const redis = await startRedis();
    const proxy = await TcpProxy.start(redis.port);
    proxies.push(proxy);
    const late = await startService(proxy.url, 'b', { RTC_REDIS_STALL_LIMIT_MS: '2000' });
    const other = await startService(redis.url, 'a');
    const reader = await read(late, 'ann');
    for (const topic of ['bad 1', 't', 'bad 2'].map((name) => name.replace(' ', '-')))
      await subscribe(reader, topic);
    for (const topic of ['bad-1', 'bad-2']) await redis.command(`SET rtc:{${topic}}:log x`);
    proxy.hold('subscriptions');
    const sender = await read(other, 'eve');
    await publish(sender, 't', 'missed');
    await until(() => payloads(reader).includes('missed'), 'the missed message', 20_000);
  });

  it('[HEALTH] show a Redis that refuses writes, raise one alert, and recover', async () => {
    const redis = await startRedis(['--maxmemory-policy', 'noeviction']);
    const writable = await startService(redis.url, 'a', { RTC_REDIS_READINESS: 'writable' });
    const reachable = await startService(redis.url, 'b');
    const sender = await read(writable, 'eve');
    await publish(sender, 't', 1);
    await redis.command('CONFIG SET maxmemory 1');
    const health = async ({ url }: EmbeddedService) =>
      (await (await fetch(`${url}/health`)).json()) as { status: string; redis: { writes: string } };
    await until(async () => {
      const all = await Promise.all([health(writable), health(reachable)]);
      return all.every(({ status, redis: { writes } }) => status === 'degraded' && writes === 'refused');
    }, 'both replicas show it');
    assert.deepEqual([await isReady(writable), await isReady(reachable)], [false, true]);
    assert.equal((await publish(sender, 't', 2, { key: 'k' })).error?.code, 'unavailable');
    const alerts = async () => {
      const answer = await fetch(`${reachable.url}/admin/alerts`, {
        headers: { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` },
      });
      const { alerts: found } = (await answer.json()) as {
        alerts: { kind: string; replica_id: string; details: { remedy?: string } }[];
      };
      return found.filter(({ kind, replica_id }) => kind.startsWith('redis_writes_') && replica_id === 'b');
    };
    await redis.command('CONFIG SET maxmemory 0');
    await until(
      async () => (await health(reachable)).redis.writes === 'accepted',
      'writes are accepted',
      20_000,
    );
    await until(async () => isReady(writable), 'it is ready again', 20_000);
    const again = await publish(sender, 't', 2, { key: 'k' });
    assert.deepEqual([again.ok, again.sequence, again['duplicate']], [true, 2, undefined]);
    // An alert is stored in the same Redis: the first one has found no room, the second one has.
    await until(
      async () => (await alerts()).some(({ kind }) => kind === 'redis_writes_accepted'),
      'the alert',
    );
  });

  it('[P5.10] tell of a message that is missing inside a stored log, to whoever reads it', async () => {
    const redis = await startRedis();
    const service = await startService(redis.url, 'a');
    const sender = await read(service, 'eve');
    await subscribe(sender, 't');
    const published = [];
    for (let n = 1; n <= 5; n++) published.push(await publish(sender, 't', n));
    assert.equal(await redis.command('XDEL rtc:{t}:log 3-0'), ':1');
    const [first] = published;
    const answers = [
      await emit(sender.socket, 'history', { topic: 't', since: positionOf(first!) }),
      await emit(sender.socket, 'history', { topic: 't', limit: 4 }),
      await emit(sender.socket, 'missed', { since: first!.id }),
    ];
    for (const { complete, messages } of answers) {
      assert.equal(complete, false);
      assert.deepEqual(
        (messages as Message[]).map(({ sequence }) => sequence).sort(),
        messages === answers[1]!['messages'] ? [1, 2, 4, 5] : [2, 4, 5],
      );
    }
    const returning = await read(service, 'ann');
    await subscribe(returning, 't', positionOf(first!));
    await until(() => returning.messages.length === 3, 'the others arrive');
    assert.deepEqual(
      returning.gaps.map(({ reason, sequence, previous }) => [reason, previous.sequence, sequence]),
      [['history_trimmed', 2, 3]],
    );
  });

  it('[P3.6] serve clients although another program has overwritten any key of the service, except those of the log', async () => {
    const redis = await startRedis();
    const service = await startService(redis.url, 'a', { RTC_LIMITS_USER_RPS: '1000' });
    const client = createClient({ url: redis.url, RESP: 2 });
    await client.connect();
    try {
      const sender = await read(service, 'eve');
      await subscribe(sender, 't');
      let count = 0;
      const works = async (key: string) => {
        const answer = await publish(sender, 't', ++count);
        assert.ok(answer.ok, `${key}: ${JSON.stringify(answer)}`);
        const other = await read(service, 'eve');
        await subscribe(other, 't', positionOf(answer));
        assert.ok((await publish(other, 't', ++count)).ok, key);
        await until(
          () => other.messages.length === 1 && sender.messages.length === count,
          `live after ${key}`,
        );
        other.socket.disconnect();
      };
      await works('nothing');
      await until(
        async () => (await client.keys('rtc:sessions:*')).length > 0,
        'there are keys of all kinds',
      );
      const overwritten = (await client.keys('*')).filter((key) => !/^rtc:\{t\}:(?:log|meta)$/.test(key));
      assert.ok(overwritten.length > 8, overwritten.join(' '));
      for (const key of overwritten) {
        const isText = (await client.type(key)) === 'string';
        await client.del(key);
        if (isText) await client.lPush(key, 'x');
        else await client.set(key, 'x');
        await works(key);
      }
    } finally {
      client.destroy();
    }
  });

  it('[HEALTH] show a Redis that cannot save its data, and recover', async () => {
    const redis = await startRedis();
    const service = await startService(redis.url, 'a');
    const sender = await read(service, 'eve');
    await publish(sender, 't', 1);
    const client = createClient({ url: redis.url, RESP: 2 });
    await client.connect();
    try {
      const { dir } = await client.configGet('dir');
      const inTheWay = join(dir!, 'dump.rdb');
      mkdirSync(inTheWay);
      const saved = async (status: string) => {
        await redis.command('BGSAVE');
        await until(
          async () => (await redis.info('persistence')).get('rdb_last_bgsave_status') === status,
          `the last save is ${status}`,
        );
      };
      await client.configSet('save', '3600 1');
      await saved('err');
      const refused = await publish(sender, 't', 2);
      assert.deepEqual([refused.ok, refused.error?.code], [false, 'unavailable']);
      const writes = async () => {
        const { redis: state } = (await (await fetch(`${service.url}/health`)).json()) as {
          redis: { writes: string; refused_by: string | null };
        };
        return `${state.writes} ${state.refused_by}`;
      };
      assert.equal(await writes(), 'refused MISCONF');
      rmdirSync(inTheWay);
      await saved('ok');
      await until(async () => (await writes()) === 'accepted null', 'writes are accepted', 20_000);
      const stored = await publish(sender, 't', 3);
      assert.deepEqual([stored.ok, stored.sequence], [true, 2]);
    } finally {
      client.destroy();
    }
  });

  it('[OPS] refuse to start with a Redis in cluster mode that is given as a single one, and say what to do', async () => {
    const redis = await startRedis(['--cluster-enabled', 'yes']);
    await assert.rejects(startEmbedded({ REDIS_URL: redis.url }), (error: Error) => {
      assert.match(error.message, /cluster mode: set REDIS_URL .* to redis\+cluster:\/\//);
      return error.name === 'UnsupportedStoreError';
    });
  });

  it('[P5.10] do not call missed messages complete while the topics of a session are not known', async () => {
    const redis = await startRedis();
    const service = await startService(redis.url, 'a');
    const [left, reader] = [await read(service, 'ann'), await read(service, 'ann')];
    const [id, own] = [left, reader].map(({ socket }) => sessionIdOf(socket)) as [string, string];
    await subscribe(left, 'left');
    await subscribe(reader, 't');
    const first = await publish(left, 'left', 1);
    await publish(left, 'left', 2);
    const missed = async (id: string) => {
      const answer = await emit(reader.socket, 'missed', { since: first.id, session_id: id });
      return [answer.ok, answer['complete'], (answer['messages'] as Message[]).length];
    };
    await until(async () => (await missed(id))[2] === 1, 'the session is stored');
    assert.deepEqual(await missed(id), [true, true, 1]);
    assert.deepEqual(await missed(own), [true, true, 0]);
    assert.equal(await redis.command('ACL SETUSER default -get'), '+OK');
    assert.deepEqual(await missed(id), [true, false, 0]);
    assert.equal(await redis.command('ACL SETUSER default +get'), '+OK');
    assert.deepEqual(await missed(id), [true, true, 1]);
    assert.equal(await redis.command(`DEL rtc:session:${id}`), ':1');
    assert.deepEqual(await missed(id), [true, false, 0]);
  });

  it('[LOG] give clients the same times and ids although their clocks are far apart, so that nothing is missed', async () => {
    const redis = await startRedis();
    // Three quarters of an hour ahead: further, and it would take the tokens for expired.
    const ahead = 'data:text/javascript,const now=Date.now;Date.now=()=>now()+2700000';
    const replicas = [
      await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: 'a' }),
      await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: 'b', NODE_OPTIONS: `--import "${ahead}"` }),
    ];
    try {
      const clients = await Promise.all(
        replicas.map(async ({ url }, n) => {
          const socket = await connectClient(url, `user-${n}`);
          sockets.push(socket);
          return socket;
        }),
      );
      await emit(clients[0]!, 'subscribe', { topics: ['t', 'u'] });
      const published: { id: string; topic: string }[] = [];
      for (let n = 0; n < 20; n++) {
        const topic = n % 3 === 0 ? 'u' : 't';
        const { id } = await emit(clients[n % 2]!, 'publish', { topic, payload: n });
        published.push({ id: id!, topic });
        await sleep(3);
      }
      const sinceN = 9;
      const answer = await emit(clients[0]!, 'missed', { since: published[sinceN]!.id });
      assert.deepEqual(
        (answer['messages'] as Message[]).map(({ payload }) => payload),
        Array.from({ length: 20 - sinceN - 1 }, (_, n) => sinceN + 1 + n),
      );
      const { messages } = await emit(clients[0]!, 'history', { topic: 't', limit: 100 });
      const times = (messages as Message[]).map(({ timestamp }) => timestamp);
      assert.ok(Math.max(...times) - Math.min(...times) < 60_000, String(times));
    } finally {
      await Promise.all(replicas.map((replica) => replica.end('SIGKILL')));
    }
  });

  it('[LOG] keep services in different databases of one Redis apart, and replicas in one of them together', async () => {
    const redis = await startRedis();
    const services = await Promise.all(
      ['/3', '/3', '/4', ''].map((path, n) => startService(redis.url + path, `r${n}`)),
    );
    const readers = await Promise.all(services.map((service, n) => read(service, `user-${n}`)));
    for (const reader of readers) await subscribe(reader, 't');
    for (const [n, reader] of readers.entries()) await publish(reader, 't', n);
    // What is published last in each database arrives behind anything that is not meant for it.
    for (const n of [1, 2, 3]) await publish(readers[n]!, 't', 'last');
    await until(() => readers.every((reader) => payloads(reader).includes('last')), 'everything arrives');
    assert.deepEqual(readers.map(payloads), [
      [0, 1, 'last'],
      [0, 1, 'last'],
      [2, 'last'],
      [3, 'last'],
    ]);
    for (const n of [1, 2, 3]) {
      const { delivered } = await emit(readers[0]!.socket, 'direct', {
        to: `user-${n}`,
        payload: n,
        timeout_ms: 500,
      });
      assert.equal(delivered, n === 1 ? 1 : 0, `user-${n}`);
    }
    const client = createClient({ url: redis.url, RESP: 2 });
    await client.connect();
    try {
      const channels = (await client.sendCommand(['PUBSUB', 'CHANNELS'])) as unknown as string[];
      assert.ok(
        channels.every((channel) => /^rtc(:db[34])?:/.test(channel)),
        channels.join(' '),
      );
      assert.ok(channels.includes('rtc:db3:{t}') && channels.includes('rtc:{t}'), channels.join(' '));
    } finally {
      client.destroy();
    }
  });

  it('[OPS] wait in a numbered database until replicas of version 0.1, on other channels, have ended', async () => {
    const redis = await startRedis();
    const client = createClient({ url: `${redis.url}/3`, RESP: 2 });
    await client.connect();
    try {
      const beat = () => client.sendCommand(['ZADD', 'rtc:replicas', String(Date.now()), 'old']);
      await beat();
      const timer = setInterval(() => void beat(), 500);
      const service = await startService(`${redis.url}/3`, 'new').finally(() => clearInterval(timer));
      assert.equal(await isReady(service), false);
      await client.sendCommand(['ZREM', 'rtc:replicas', 'old']);
      await until(() => isReady(service), 'the old replica has ended', 20_000);
    } finally {
      client.destroy();
    }
  });
});
