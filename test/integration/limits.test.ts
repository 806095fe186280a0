import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { io, type Socket } from 'socket.io-client';
import WebSocket from 'ws';
import type { WireError } from '../../shared/errors.js';
import { ok } from '../support/admin.js';
import { connectClient, JsonClient, type TestAnswer } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

/** A connection that publishes without pause and counts the acknowledged publishes. */
class Flood {
  acknowledged = 0;
  readonly refusals: WireError[] = [];
  private stopped = false;

  constructor(
    private readonly socket: Socket,
    private readonly topic: string,
  ) {
    // Several publishes in progress, each followed by the next after a short pause: some hundred attempts per
    // second.
    for (let n = 0; n < 3; n++) void this.run();
  }

  stop(): void {
    this.stopped = true;
  }

  private async run(): Promise<void> {
    while (!this.stopped && this.socket.connected) {
      const answer = (await this.socket
        .timeout(30_000)
        .emitWithAck('publish', { topic: this.topic, payload: 1 })
        .catch(() => undefined)) as TestAnswer | undefined;
      if (answer?.ok === true) this.acknowledged++;
      else if (answer?.error !== undefined) this.refusals.push(answer.error);
      await sleep(10);
    }
  }
}

/** The HTTP response to a refused upgrade. */
function upgradeAnswer(url: string, headers: Record<string, string> = {}) {
  return new Promise<{ status: number; retryAfter: string | undefined; error: WireError } | 'open'>(
    (resolve, reject) => {
      const webSocket = new WebSocket(url, { headers });
      webSocket.on('error', reject);
      webSocket.on('open', () => {
        webSocket.close();
        resolve('open');
      });
      webSocket.on('unexpected-response', (_request, response) => {
        let body = '';
        response.on('data', (data: Buffer) => (body += data.toString()));
        response.on('end', () => {
          const { error } = JSON.parse(body) as { error: WireError };
          resolve({ status: response.statusCode!, retryAfter: response.headers['retry-after'], error });
        });
      });
    },
  );
}

/** A second, and what a loaded machine adds. */
const appliedMs = 4000;

describe('[LIMITS] over two replicas', function () {
  this.timeout(60_000);
  let redis: TestRedis;
  const replicas: TestReplica[] = [];
  const open: { close(): unknown }[] = [];
  const start = async (environment: NodeJS.ProcessEnv, count = 2): Promise<TestReplica[]> => {
    for (let n = 0; n < count; n++)
      replicas.push(
        await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: `replica-${n}`, ...environment }),
      );
    return replicas;
  };
  const client = async (replica: TestReplica, userId: string): Promise<Socket> => {
    const socket = await connectClient(replica.url, userId);
    open.push(socket);
    return socket;
  };
  const floods = async (userId: string) =>
    Promise.all(
      [0, 1, 0, 1, 0].map(async (n) => new Flood(await client(replicas[n]!, userId), `flood-${userId}`)),
    );
  const sum = (all: readonly Flood[]) => all.reduce((total, { acknowledged }) => total + acknowledged, 0);
  const acknowledgedPerSec = async (all: readonly Flood[], measuredMs: number) => {
    const [before, fromMs] = [sum(all), performance.now()];
    await sleep(measuredMs);
    return ((sum(all) - before) * 1000) / (performance.now() - fromMs);
  };

  beforeEach(async () => {
    redis = await TestRedis.start();
  });
  afterEach(async () => {
    for (const one of open.splice(0)) one.close();
    for (const replica of replicas.splice(0)) await replica.end('SIGKILL');
    await redis.stop();
  });

  it('accepts 50 ± 10 % messages per second from a user with user_rps = 50 on 5 connections', async () => {
    await start({ RTC_LIMITS_USER_RPS: '50', RTC_LIMITS_ABUSE_REFUSALS: '0' });
    const all = await floods('ann');
    await until(() => sum(all) >= 50, 'the first second’s messages are accepted');
    await sleep(1000);
    const perSec = await acknowledgedPerSec(all, 8000);
    for (const flood of all) flood.stop();
    assert.ok(perSec >= 45 && perSec <= 55, `${perSec.toFixed(1)} a second`);
    const refusals = all.flatMap((flood) => flood.refusals);
    assert.ok(refusals.length > 500, `${refusals.length} refused`);
    for (const { code, limit, retry_after_ms: retryAfterMs } of refusals) {
      assert.deepEqual([code, limit], ['rate_limited', 50]);
      assert.ok(retryAfterMs! > 0 && retryAfterMs! <= 1000, String(retryAfterMs));
    }
  });

  it('applies rates changed by an operator on both replicas within a second', async () => {
    await start({ RTC_LIMITS_USER_RPS: '50', RTC_LIMITS_ABUSE_REFUSALS: '0' });
    const all = await floods('ann');
    const put = async (rates: object) => {
      const response = await fetch(`${replicas[0]!.url}/admin/config/rate-limits`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${tokenOf('root', { roles: ['admin'] })}` },
        body: JSON.stringify(rates),
      });
      assert.equal(response.status, 200);
    };
    const refusedBy = (limit: number) => all.every(({ refusals }) => refusals.at(-1)?.limit === limit);
    await until(() => refusedBy(50), 'all are refused by the old rate');
    await put({ user_rps: 20 });
    await until(() => refusedBy(20), 'all are refused by the new rate', appliedMs);
    await sleep(1000);
    const perSec = await acknowledgedPerSec(all, 5000);
    assert.ok(perSec >= 16 && perSec <= 24, `${perSec.toFixed(1)} a second`);
    await put({ user_rps: 0, connection_rps: 10 });
    await until(() => refusedBy(10), 'all are refused by the rate of a connection', appliedMs);
    await put({ connection_rps: 0 });
    const free = await acknowledgedPerSec(all, 1000);
    assert.ok(free > 100, `${free.toFixed(1)} a second`);
    for (const flood of all) flood.stop();
  });

  it('applies the same rate per replica while Redis is unreachable', async () => {
    await start({ RTC_LIMITS_USER_RPS: '20', RTC_LIMITS_ABUSE_REFUSALS: '0' }, 1);
    const socket = await client(replicas[0]!, 'ann');
    await redis.signal('SIGKILL');
    await until(async () => {
      const health = await replicas[0]!.json<{ status: string }>('/health');
      return health.status !== 'healthy';
    }, 'the replica has detected it');
    await sleep(1000);
    const answers: TestAnswer[] = [];
    for (let n = 0; n < 60; n++)
      answers.push((await socket.timeout(30_000).emitWithAck('ping', {})) as TestAnswer);
    const served = answers.filter(({ ok }) => ok).length;
    assert.ok(served >= 20 && served < 60, `${served} of 60 served`);
    assert.ok(answers.every(({ ok, error }) => ok || error!.code === 'rate_limited'));
  });

  it('counts HTTP requests in the rate of their user', async () => {
    const [a] = await start({ RTC_LIMITS_USER_RPS: '5' }, 1);
    const headers = { authorization: `Bearer ${tokenOf('ann')}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ topic: 't', payload: 1 });
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const response = await fetch(`${a!.url}/api/publish`, { method: 'POST', headers, body });
        return response.status;
      }),
    );
    assert.equal(statuses.filter((status) => status === 200).length >= 5, true, String(statuses));
    assert.ok(statuses.filter((status) => status === 429).length >= 5, String(statuses));
  });

  it('closes a connection that continues after refusals, and sends the reason first', async () => {
    await start({ RTC_LIMITS_CONNECTION_RPS: '1', RTC_LIMITS_ABUSE_REFUSALS: '20' }, 1);
    const socket = await client(replicas[0]!, 'ann');
    const errors: WireError[] = [];
    const reasons: string[] = [];
    socket.on('error', (error: WireError) => errors.push(error));
    socket.on('disconnect', (reason) => reasons.push(reason));
    for (let n = 0; n < 100; n++) socket.emit('ping', {}, () => {});
    await until(() => reasons.length === 1, 'the connection is closed');
    assert.deepEqual(reasons, ['io server disconnect']);
    assert.deepEqual([errors[0]?.code, errors[0]?.limit], ['rate_limited', 20]);

    const json = new JsonClient(replicas[0]!.webSocketUrl, 'bob');
    open.push(json);
    await until(() => json.of('Status').length === 1, 'the JSON client is connected');
    for (let n = 0; n < 100; n++) json.send({ type: 'Ping', data: {} });
    await until(() => json.webSocket.readyState === WebSocket.CLOSED, 'the JSON connection is closed');
    const last = json.of('Error').at(-1)!.data;
    assert.deepEqual([last['code'], last['limit']], ['rate_limited', 20]);
  });

  it('refuses too fast connects of an address with 429, on both wires, by the address behind a local proxy', async () => {
    const [a] = await start({ RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '2' }, 1);
    const socketIoUrl = `${a!.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`;
    const jsonUrl = `${a!.webSocketUrl}?token=${tokenOf('ann')}`;
    const from = (address: string) => ({ 'x-forwarded-for': address });
    for (const [url, address] of [
      [socketIoUrl, '203.0.113.1'],
      [jsonUrl, '203.0.113.2'],
    ] as const) {
      const answers = await Promise.all(Array.from({ length: 12 }, () => upgradeAnswer(url, from(address))));
      const refused = answers.filter((answer) => answer !== 'open');
      assert.ok(refused.length >= 5 && refused.length <= 10, `${refused.length} refused`);
      for (const { status, retryAfter, error } of refused) {
        assert.deepEqual([status, retryAfter, error.code, error.limit], [429, '1', 'rate_limited', 2]);
      }
      assert.equal(await upgradeAnswer(url, from('203.0.113.3')), 'open');
    }
    const polls = await Promise.all(
      Array.from({ length: 12 }, () =>
        fetch(`${a!.url}/socket.io/?EIO=4&transport=polling`, { headers: from('203.0.113.4') }),
      ),
    );
    const limited = polls.filter(({ status }) => status === 429);
    assert.ok(limited.length >= 5, `${limited.length} refused`);
    assert.equal(limited[0]!.headers.get('retry-after'), '1');
    assert.equal(((await limited[0]!.json()) as { error: WireError }).error.code, 'rate_limited');
  });

  it('refuses connections above the limit of an address, and of the replica, with 503', async () => {
    const [a] = await start(
      {
        // Loopback is exempt in development.
        NODE_ENV: 'test',
        RTC_WEBSOCKET_MAX_CONNECTIONS_PER_ADDRESS: '2',
        RTC_WEBSOCKET_MAX_CONNECTIONS: '3',
      },
      1,
    );
    const [one, two] = [await client(a!, 'ann'), new JsonClient(a!.webSocketUrl, 'ann')];
    open.push(two);
    await until(() => two.of('Status').length === 1, 'the JSON client is connected');
    const jsonUrl = `${a!.webSocketUrl}?token=${tokenOf('bob')}`;
    const socketIoUrl = `${a!.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`;
    for (const url of [jsonUrl, socketIoUrl]) {
      const answer = await upgradeAnswer(url);
      assert.ok(answer !== 'open');
      assert.deepEqual([answer.status, answer.retryAfter, answer.error.code], [503, '5', 'at_capacity']);
    }
    const other = { 'x-forwarded-for': '203.0.113.9' };
    const third = await connectClient(a!.url, 'cid', { extraHeaders: other });
    open.push(third);
    const full = await upgradeAnswer(jsonUrl, { 'x-forwarded-for': '203.0.113.10' });
    assert.ok(full !== 'open');
    assert.deepEqual([full.status, full.error.code, full.error.limit], [503, 'at_capacity', 3]);
    one.close();
    third.close();
    await until(async () => (await upgradeAnswer(jsonUrl)) === 'open', 'a slot is free again');
  });

  it('keeps the limit of the replica during a burst on any transport, also for clients without a token yet', async () => {
    const [a] = await start(
      { RTC_WEBSOCKET_MAX_CONNECTIONS: '5', RTC_WEBSOCKET_CONNECT_TIMEOUT_SECS: '3' },
      1,
    );
    const socketIoUrl = `${a!.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`;
    const jsonUrl = `${a!.webSocketUrl}?token=${tokenOf('ann')}`;
    const burst = await Promise.all(
      Array.from({ length: 30 }, async (_, n): Promise<'open' | number> => {
        if (n % 3 === 0) {
          const { status } = await fetch(`${a!.url}/socket.io/?EIO=4&transport=polling`);
          return status === 200 ? 'open' : status;
        }
        return new Promise((resolve, reject) => {
          const webSocket = new WebSocket(n % 3 === 1 ? socketIoUrl : jsonUrl);
          open.push(webSocket);
          webSocket.on('open', () => resolve('open'));
          webSocket.on('unexpected-response', (_request, { statusCode }) => {
            webSocket.terminate();
            resolve(statusCode!);
          });
          webSocket.on('error', reject);
        });
      }),
    );
    assert.deepEqual(
      [burst.filter((one) => one === 'open').length, burst.filter((one) => one === 503).length],
      [5, 25],
    );
    // Clients that never send a token do not keep their slot.
    for (const one of open.splice(0)) one.close();
    await until(
      async () => {
        const answers = await Promise.all(Array.from({ length: 5 }, () => upgradeAnswer(jsonUrl)));
        return answers.every((answer) => answer === 'open');
      },
      'all slots are free again',
      20_000,
    );
  });

  it('accepts one connection per transport, even for concurrent joins', async () => {
    const [a] = await start({ RTC_WEBSOCKET_MAX_CONNECTIONS: '1' }, 1);
    const webSocket = new WebSocket(`${a!.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    open.push(webSocket);
    const packets: string[] = [];
    webSocket.on('message', (data: Buffer) => packets.push(data.toString()));
    await until(() => packets.length === 1, 'the transport is open');
    // In one packet, because Socket.IO itself closes a transport after a first join has completed.
    const tcp = (webSocket as unknown as { _socket: { cork(): void; uncork(): void } })._socket;
    tcp.cork();
    for (let n = 0; n < 20; n++) webSocket.send(`40${JSON.stringify({ token: tokenOf(`user-${n}`) })}`);
    tcp.uncork();
    await until(
      () => packets.filter((packet) => packet.startsWith('44')).length === 19,
      'others are refused',
    );
    await until(() => packets.some((packet) => packet.startsWith('40')), 'one has joined');
    assert.equal(packets.filter((packet) => packet.startsWith('40')).length, 1);
    assert.ok(
      packets.filter((packet) => packet.startsWith('44')).every((packet) => packet.includes('conflict')),
    );
    const { active_connections: connections } = await a!.json<{ active_connections: number }>('/metrics');
    assert.equal(connections, 1);
  });

  it('counts waiting handshakes, and removes those whose client has disconnected', async () => {
    const [a] = await start({ RTC_WEBSOCKET_MAX_CONNECTIONS: '4', RTC_WEBSOCKET_HANDSHAKES_PER_SEC: '1' }, 1);
    const pollUrl = `${a!.url}/socket.io/?EIO=4&transport=polling`;
    const abort = new AbortController();
    const retries: (string | null)[] = [];
    const waiting = Array.from({ length: 8 }, async () => {
      const { status, headers } = await fetch(pollUrl, { signal: abort.signal });
      if (status === 503) retries.push(headers.get('retry-after'));
    });
    // One is connected, three wait for up to three seconds.
    await until(() => retries.length === 4, 'the others are refused', 2000);
    assert.deepEqual(new Set(retries), new Set(['5']));
    abort.abort();
    await Promise.allSettled(waiting);
    const jsonUrl = `${a!.webSocketUrl}?token=${tokenOf('ann')}`;
    await until(async () => (await upgradeAnswer(jsonUrl)) === 'open', 'their slots are free', 20_000);
  });

  it('keeps both of two rates that are changed on two replicas at the same time', async () => {
    const [a, b] = await start({});
    for (let n = 1; n <= 10; n++) {
      const put = (replica: TestReplica, body: object) => ok(replica, 'PUT', '/config/rate-limits', body);
      await Promise.all([put(a!, { user_rps: 100 + n }), put(b!, { connection_rps: 200 + n })]);
      for (const replica of [a!, b!]) {
        await until(async () => {
          const { rate_limits: rates } = await replica.json<{ rate_limits: object }>('/health');
          return JSON.stringify(rates) === JSON.stringify({ connection_rps: 200 + n, user_rps: 100 + n });
        }, 'both rates apply');
      }
    }
    await ok(b!, 'DELETE', '/config/rate-limits');
    await until(async () => {
      const { rate_limits: rates } = await a!.json<{ rate_limits: { user_rps: number } }>('/health');
      return rates.user_rps === 0;
    }, 'both rates are those of the settings again');
  });

  it('limits the connections of a user over both replicas, and does not count those of a killed one', async () => {
    const [a, b] = await start({ RTC_WEBSOCKET_MAX_CONNECTIONS_PER_USER: '3' });
    const refusalOf = (replica: TestReplica) =>
      new Promise<WireError | 'connected'>((resolve) => {
        const auth = { token: tokenOf('ann') };
        const socket = io(replica.url, {
          forceNew: true,
          reconnection: false,
          transports: ['websocket'],
          auth,
        });
        const end = (result: WireError | 'connected') => {
          socket.disconnect();
          resolve(result);
        };
        socket.on('connect_error', (error) => end((error as unknown as { data: WireError }).data));
        socket.on('status', () => end('connected'));
      });
    const first = await client(a!, 'ann');
    await client(b!, 'ann');
    const json = new JsonClient(b!.webSocketUrl, 'ann');
    open.push(json);
    await until(() => json.of('Status').length === 1, 'the JSON client is connected');
    for (const replica of [a!, b!]) {
      const refusal = await refusalOf(replica);
      assert.ok(refusal !== 'connected');
      assert.deepEqual([refusal.code, refusal.limit], ['at_capacity', 3]);
      const answer = await upgradeAnswer(`${replica.webSocketUrl}?token=${tokenOf('ann')}`);
      assert.ok(answer !== 'open');
      assert.deepEqual([answer.status, answer.retryAfter, answer.error.code], [503, '5', 'at_capacity']);
    }
    assert.equal(await upgradeAnswer(`${a!.webSocketUrl}?token=${tokenOf('bob')}`), 'open');

    first.disconnect();
    await until(async () => (await refusalOf(b!)) === 'connected', 'a released slot is free');
    await b!.end('SIGKILL');
    await until(
      async () => {
        const pair = await Promise.all([refusalOf(a!), refusalOf(a!), refusalOf(a!)]);
        return pair.every((result) => result === 'connected');
      },
      'the connections of the killed replica do not count',
      20_000,
    );
    // Many clients at once do not exceed the limit.
    const stampede = await Promise.all(
      Array.from({ length: 20 }, async () => client(a!, 'eve').catch(() => undefined)),
    );
    assert.ok(stampede.filter((socket) => socket !== undefined).length <= 3);
  });

  it('releases the slot of a user however a connection ends', async () => {
    const [a] = await start(
      {
        RTC_WEBSOCKET_MAX_CONNECTIONS_PER_USER: '2',
        RTC_REDIS_COMMAND_TIMEOUT_MS: '10000',
        RTC_REDIS_STALL_LIMIT_MS: '60000',
      },
      1,
    );
    const socketIoUrl = `${a!.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`;
    const connect = `40${JSON.stringify({ token: tokenOf('ann') })}`;
    /** A bare Socket.IO client with an open transport, which records what it receives. */
    const bare = async () => {
      const webSocket = new WebSocket(socketIoUrl);
      const packets: string[] = [];
      webSocket.on('message', (data: Buffer) => packets.push(data.toString()));
      await until(() => packets.length === 1, 'the transport is open');
      open.push(webSocket);
      return { webSocket, packets };
    };
    const isFree = () =>
      until(
        async () => {
          const socket = await client(a!, 'ann').catch(() => undefined);
          socket?.disconnect();
          return socket !== undefined;
        },
        'there is a slot',
        3000,
      );

    for (let n = 0; n < 5; n++) {
      const json = new JsonClient(a!.webSocketUrl, 'ann');
      await until(() => json.of('Status').length === 1, 'a JSON client is connected again');
      const closed = new Promise((resolve) => json.webSocket.once('close', resolve));
      if (n % 2 === 0) json.close();
      else json.webSocket.terminate();
      await closed;
      await isFree();
    }
    for (let n = 0; n < 3; n++) {
      // Refused after its slot was acquired; the transport stays open.
      const { webSocket, packets } = await bare();
      webSocket.send(`40${JSON.stringify({ token: tokenOf('ann'), positions: 5 })}`);
      await until(() => packets.length === 2, 'an answer');
      assert.match(packets[1]!, /^44.*invalid_message/);
      await isFree();
    }
    const { webSocket, packets } = await bare();
    for (let n = 0; n < 5; n++) {
      // Leaves the namespace and joins again on the same transport.
      packets.length = 0;
      webSocket.send(connect);
      await until(() => packets.some((packet) => packet.startsWith('42["status"')), 'it has joined');
      webSocket.send('41');
      await isFree();
    }
    // Closed after its slot was acquired and before it has joined: Redis delays it in between.
    const hasty = [await bare(), await bare()];
    const fallbacks = async () => {
      const metrics = await a!.json<{ rate_limit_stats: { local_fallbacks: number } }>('/metrics');
      return metrics.rate_limit_stats.local_fallbacks;
    };
    const before = await fallbacks();
    await redis.signal('SIGSTOP');
    const resume = `40${JSON.stringify({ token: tokenOf('ann'), session_id: 'looked for' })}`;
    for (const one of hasty) one.webSocket.send(resume);
    await until(async () => (await fallbacks()) >= before + hasty.length, 'their slots are acquired');
    for (const one of hasty) one.webSocket.terminate();
    // An answer shows that earlier data was read, including the close.
    for (let n = 0; n < 3; n++) await fallbacks();
    await redis.signal('SIGCONT');
    await isFree();
  });

  it('limits requests to /api over both replicas, sends RateLimit headers, and accepts requests while Redis is unreachable', async () => {
    const [a, b] = await start({ RTC_LIMITS_HTTP_REQUESTS: '10', RTC_LIMITS_HTTP_WINDOW_SECS: '600' });
    const ask = (replica: TestReplica, headers: Record<string, string>) =>
      fetch(`${replica.url}/api/endpoint`, { headers });
    const ann = { authorization: `Bearer ${tokenOf('ann')}` };
    for (let n = 1; n <= 10; n++) {
      const response = await ask(n % 2 === 0 ? a! : b!, ann);
      assert.equal(response.status, 404);
      assert.match(response.headers.get('ratelimit')!, new RegExp(`^limit=10, remaining=${10 - n}, reset=`));
      assert.equal(response.headers.get('ratelimit-policy'), '10;w=600');
    }
    for (const replica of [a!, b!]) {
      const response = await ask(replica, ann);
      assert.equal(response.status, 429);
      assert.ok(Number(response.headers.get('retry-after')) > 0);
      const { error } = (await response.json()) as { error: WireError };
      assert.deepEqual([error.code, error.limit], ['rate_limited', 10]);
      assert.ok(error.retry_after_ms! <= 600_000);
    }
    // Other clients are counted separately: users by their token, clients without a token by their address.
    assert.equal((await ask(a!, { authorization: `Bearer ${tokenOf('bob')}` })).status, 404);
    for (const address of ['203.0.113.1', '203.0.113.2']) {
      const response = await ask(a!, { authorization: 'Bearer rubbish', 'x-forwarded-for': address });
      assert.match(response.headers.get('ratelimit')!, /remaining=9/);
    }
    await redis.command('SCRIPT FLUSH');
    assert.equal((await ask(a!, ann)).status, 429, 'scripts missing in Redis are sent again');
    await redis.signal('SIGKILL');
    await until(
      async () => (await ask(a!, ann)).status === 404,
      'requests are accepted while Redis is unreachable',
    );
  });
});
