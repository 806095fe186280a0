import assert from 'node:assert/strict';
import { connect, type Socket as TcpSocket } from 'node:net';
import WebSocket from 'ws';
import type { Message } from '../../shared/message.js';
import { connectClient, emit, JsonClient, type TestAnswer } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { ok, type Json } from '../support/admin.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

type Client = Awaited<ReturnType<typeof connectClient>>;

/** All messages of a topic, page by page, each request continued by `next`. */
async function walk(ask: (fields: object) => Promise<TestAnswer>, first: object): Promise<TestAnswer[]> {
  const pages: TestAnswer[] = [];
  for (let next: object | undefined = first; next !== undefined;) {
    const page = await ask(next);
    assert.equal(page.ok, true, JSON.stringify(page.error));
    pages.push(page);
    next = page['next'] as object | undefined;
  }
  return pages;
}

const payloads = (pages: readonly TestAnswer[]) =>
  pages.flatMap((page) => (page['messages'] as Message[]).map(({ payload }) => payload));

describe('[P7] answers in pages', function () {
  this.timeout(90_000);
  let embedded: EmbeddedService;
  const open: { close(): unknown }[] = [];
  const client = async (userId: string): Promise<Client> => {
    const socket = await connectClient(embedded.url, userId);
    open.push(socket);
    return socket;
  };
  const get = async (path: string) => {
    const headers = { authorization: `Bearer ${tokenOf('ann')}` };
    return (await (await fetch(`${embedded.url}${path}`, { headers })).json()) as TestAnswer;
  };

  before(async () => {
    embedded = await startEmbedded({ RTC_TOPICS_MAX_HISTORY_ANSWER_BYTES: '2000' });
  });
  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });
  after(() => embedded.service.close());

  it('of history continue by their `next`, forwards and backwards, on every wire', async () => {
    const ann = await client('ann');
    const sent = Array.from({ length: 30 }, (_, n) => `${n} ${'x'.repeat(n * 20)}`);
    for (const payload of sent) await emit(ann, 'publish', { topic: 'pages', payload });
    const { epoch } = await emit(ann, 'history', { topic: 'pages', limit: 1 });
    const start = { since: { epoch, sequence: 0 } };

    const overSocket = (next: object) => emit(ann, 'history', { topic: 'pages', limit: 100, ...next });
    const forwards = await walk(overSocket, start);
    assert.ok(forwards.length > 3);
    assert.ok(forwards.slice(0, -1).every((page) => page['truncated'] === true));
    assert.deepEqual(payloads(forwards), sent);
    assert.deepEqual(payloads((await walk(overSocket, {})).reverse()), sent);

    const overHttp = (next: { since?: TestAnswer; before?: TestAnswer }) => {
      const { since, before } = next;
      const query = new URLSearchParams({ topic: 'pages', limit: '100' });
      if (since !== undefined) query.set('epoch', since.epoch!);
      if (since !== undefined) query.set('sequence', String(since.sequence));
      if (before !== undefined) query.set('before_epoch', before.epoch!);
      if (before !== undefined) query.set('before_sequence', String(before.sequence));
      return get(`/api/history?${query}`);
    };
    assert.deepEqual(payloads(await walk(overHttp, start)), sent);
    assert.deepEqual(payloads((await walk(overHttp, {})).reverse()), sent);

    const json = new JsonClient(embedded.webSocketUrl, 'ann');
    open.push(json);
    await until(() => json.of('Status').length > 0, 'the status');
    let asked = 0;
    const overJson = async (next: object): Promise<TestAnswer> => {
      const id = ++asked;
      json.send({ type: 'GetHistory', id, data: { topic: 'pages', limit: 100, ...next } });
      await until(() => json.frames.some((frame) => frame.id === id), 'the answer');
      return { ok: true, ...json.frames.find((frame) => frame.id === id)!.data };
    };
    assert.deepEqual(payloads(await walk(overJson, start)), sent);
  });

  it('of large messages are whole over HTTP, and sent once to a client that has them', async () => {
    const ann = await client('ann');
    const payload = 'ä'.repeat(30_000);
    await emit(ann, 'publish', { topic: 'large', payload });
    const page = await get('/api/history?topic=large');
    assert.deepEqual(payloads([page]), [payload]);
    const ask = (method: string, more: Record<string, string> = {}) =>
      fetch(`${embedded.url}/api/history?topic=large`, {
        method,
        headers: { authorization: `Bearer ${tokenOf('ann')}`, ...more },
      });
    const asked = await ask('GET');
    const [etag, length] = ['etag', 'content-length'].map((name) => asked.headers.get(name)!);
    assert.match(etag!, /^W\//);
    assert.equal((await asked.arrayBuffer()).byteLength, Number(length));
    // Without a header of its own, `fetch` asks for no answer of a cache.
    const again = await ask('GET', { 'if-none-match': etag!, 'cache-control': 'max-age=0' });
    assert.deepEqual([again.status, await again.text()], [304, '']);
    const head = await ask('HEAD');
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, length]);
    assert.deepEqual(await get('/api/history?topic=large'), page);
  });

  it('of missed continue by their `next`, and hold every message once', async () => {
    const [ann, bob] = [await client('ann'), await client('bob')];
    const topics = ['m.1', 'm.2', 'm.3'];
    await emit(bob, 'subscribe', { topics });
    const first = await emit(ann, 'publish', { topic: 'm.1', payload: 'seen' });
    const sent: string[] = [];
    for (let n = 0; n < 40; n++) {
      sent.push(`${n} ${'y'.repeat(200)}`);
      await emit(ann, 'publish', { topic: topics[n % 3], payload: sent[n] });
    }
    const pages = await walk((next) => emit(bob, 'missed', { since: first.id, ...next }), {});
    assert.ok(pages.length > 3);
    assert.deepEqual(
      pages.map((page) => page['complete']),
      pages.map((_, i) => i === pages.length - 1),
    );
    assert.deepEqual(payloads(pages), sent);
  });

  it('have at most ten binary parts for a stock client, which stays connected', async () => {
    const ann = await client('ann');
    for (let n = 0; n < 12; n++)
      await emit(ann, 'publish', { topic: 'parts', payload: [n, Buffer.from('a'), Buffer.from('b')] });
    const pages = await walk((next) => emit(ann, 'history', { topic: 'parts', ...next }), {
      since: { epoch: (await emit(ann, 'history', { topic: 'parts', limit: 1 })).epoch, sequence: 0 },
    });
    assert.deepEqual(
      pages.map((page) => (page['messages'] as Message[]).length),
      [5, 5, 2],
    );
    assert.ok(ann.connected);
    // On the JSON wires they are text: only the bytes count.
    assert.ok(((await get('/api/history?topic=parts'))['messages'] as Message[]).length > 5);
  });

  it('refuse a request with both directions', async () => {
    const ann = await client('ann');
    const position = { epoch: 'e', sequence: 1 };
    const answer = await emit(ann, 'history', { topic: 'pages', since: position, before: position });
    assert.deepEqual([answer.error?.code, answer.error?.field], ['invalid_message', 'before']);
  });

  it('of presence continue by their cursor', async () => {
    for (let n = 0; n < 60; n++) await emit(await client(`user-${n}`), 'subscribe', { topics: ['here'] });
    const pages = await walk(
      ({ cursor }: { cursor?: string }) =>
        get(`/api/presence?topic=here&limit=25${cursor === undefined ? '' : `&cursor=${cursor}`}`),
      {},
    );
    assert.deepEqual(
      pages.map((page) => [page['count'], page['truncated'] ?? false]),
      [
        [60, true],
        [60, true],
        [60, false],
      ],
    );
    const users = pages.flatMap((page) =>
      (page['users'] as { user_id: string }[]).map((user) => user.user_id),
    );
    assert.deepEqual(
      users,
      Array.from({ length: 60 }, (_, n) => `user-${n}`),
    );
  });
});

describe('[P7] [A4] lists of /admin', function () {
  this.timeout(120_000);
  let redis: TestRedis;
  const replicas: TestReplica[] = [];
  const clients: Client[] = [];

  before(async () => {
    redis = await TestRedis.start();
    for (const id of ['a', 'b'])
      replicas.push(await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: id }));
    for (let n = 0; n < 9; n++) {
      const one = await connectClient(replicas[n % 2]!.url, `user-${n % 5}`);
      clients.push(one);
      await emit(one, 'subscribe', { topics: [`list.${n % 4}`, `list.of.${n}`] });
    }
  });
  after(async () => {
    for (const one of clients) one.close();
    for (const replica of replicas) await replica.end();
    await redis.stop();
  });

  const all = async (path: string, list: string, keyOf: (item: Json) => string) => {
    const keys: string[] = [];
    let pages = 0;
    for (let cursor: string | null = ''; cursor !== null; pages++) {
      const answer: Json = await ok(replicas[pages % 2]!, 'GET', `${path}limit=2&cursor=${cursor}`);
      const items = answer[list] as Json[];
      assert.ok(items.length <= 2);
      keys.push(...items.map(keyOf));
      cursor = answer['cursor'] as string | null;
    }
    return keys;
  };

  it('are walked by their cursor over both replicas, whichever is asked', async () => {
    assert.deepEqual(
      await all('/connections?', 'connections', (item) => String(item['connection_id'])),
      clients.map(({ id }) => id!).sort(),
    );
    assert.deepEqual(await all('/users?', 'users', (item) => `${item['user_id']} ${item['connections']}`), [
      'user-0 2',
      'user-1 2',
      'user-2 2',
      'user-3 2',
      'user-4 1',
    ]);
    const topics = await all('/topics?prefix=list.&', 'topics', (item) => String(item['topic']));
    const expected = [...[0, 1, 2, 3].map((n) => `list.${n}`), ...clients.map((_, n) => `list.of.${n}`)];
    assert.deepEqual(topics, expected.sort());
  });
});

describe('[P7] an HTTP answer that is not read', function () {
  this.timeout(90_000);
  let embedded: EmbeddedService;
  before(async () => {
    embedded = await startEmbedded({
      RTC_TOPICS_MAX_HISTORY_ANSWER_BYTES: '16777216',
      RTC_OUTBOX_ANSWER_TIMEOUT_SECS: '1',
    });
  });
  after(() => embedded.service.close());

  it('is aborted after its time, also while nobody waits for room', async () => {
    const ann = await connectClient(embedded.url, 'ann');
    const payload = 'z'.repeat(60_000);
    for (let n = 0; n < 250; n += 50)
      await Promise.all(Array.from({ length: 50 }, () => emit(ann, 'publish', { topic: 'large', payload })));
    ann.close();
    const bytes = () => embedded.service.metrics.document().answers.bytes;
    const socket = connect(Number(new URL(embedded.url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.pause();
    socket.write(
      `GET /api/history?topic=large&limit=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokenOf('ann')}\r\n\r\n`,
    );
    await until(() => bytes() > 0, 'the answer is under way');
    await until(() => bytes() === 0, 'the answer is aborted');
    socket.destroy();
  });
});

describe('[P7] a process with little memory', function () {
  this.timeout(90_000);
  let replica: TestReplica;
  const stalled: { destroy(): unknown }[] = [];

  before(async () => {
    replica = await TestReplica.start({ NODE_OPTIONS: '--max-old-space-size=200' });
  });
  after(async () => {
    for (const one of stalled) one.destroy();
    await replica.end();
  });

  /** Requests the whole history over HTTP several times, and reads nothing. */
  const stallHttp = async (userId: string): Promise<void> => {
    const socket: TcpSocket = connect(replica.port, '127.0.0.1');
    stalled.push(socket);
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.pause();
    const request = `GET /api/history?topic=large&limit=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokenOf(userId)}\r\n\r\n`;
    socket.write(request.repeat(12));
  };
  const stallSocket = async (userId: string): Promise<void> => {
    const socket = new WebSocket(`${replica.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    stalled.push({ destroy: () => socket.terminate() });
    socket.on('error', () => {});
    const joined = new Promise<void>((resolve) =>
      socket.on('message', (data: Buffer) => {
        const text = data.toString('latin1', 0, 20);
        if (text.startsWith('0')) socket.send(`40${JSON.stringify({ token: tokenOf(userId) })}`);
        if (text.startsWith('42["status"')) resolve();
      }),
    );
    await joined;
    (socket as unknown as { _socket: TcpSocket })._socket.pause();
    for (let n = 0; n < 12; n++) socket.send(`42${n}["history",{"topic":"large","limit":1000}]`);
  };

  it('survives many clients that ask for the whole history and do not read, and serves the others', async () => {
    const ann = await connectClient(replica.url, 'ann');
    const payload = 'z'.repeat(60_000);
    for (let n = 0; n < 500; n += 50)
      await Promise.all(Array.from({ length: 50 }, () => emit(ann, 'publish', { topic: 'large', payload })));
    await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        await stallHttp(`http-${n % 20}`);
        await stallSocket(`socket-${n % 20}`);
      }),
    );
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => emit(ann, 'publish', { topic: `small.${n}`, payload: n })),
    );
    assert.ok(answers.every(({ ok }) => ok));
    let read = 0;
    await until(
      async () => {
        const page = await emit(ann, 'history', { topic: 'large', limit: 10 }).catch(() => undefined);
        if (page?.ok !== true) assert.ok(page === undefined || page.error?.code === 'busy');
        else read++;
        return read === 3;
      },
      'somebody who reads gets answers',
      60_000,
    );
    const bytes = async () =>
      ((await (await fetch(`${replica.url}/metrics`)).json()) as { answers: { bytes: number } }).answers
        .bytes;
    assert.ok((await bytes()) <= 33_554_432);
    for (const one of stalled.splice(0)) one.destroy();
    await until(async () => (await bytes()) === 0, 'what the closed connections held is returned');
    ann.close();
  });
});
