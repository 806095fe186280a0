import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { io, type Socket } from 'socket.io-client';
import WebSocket from 'ws';
import type { Message } from '../../shared/message.js';
import { connectClient, JsonClient, Received, type TestAnswer } from '../support/clients.js';
import { RawReader } from '../support/raw-reader.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

type Client = Awaited<ReturnType<typeof connectClient>>;

const topic = 'busy';

/** Publishes one message, repeated until it is acknowledged. */
async function publish(publisher: Client, payload: object): Promise<void> {
  for (;;) {
    const answer = (await publisher.emitWithAck('publish', { topic, payload })) as TestAnswer;
    if (answer.ok) return;
    await sleep(answer.error!.retry_after_ms ?? 20);
  }
}

/** Publishes messages of some size from several lanes at once. */
async function publishMany(publisher: Client, count: number, bytes: number): Promise<void> {
  const text = 'x'.repeat(bytes);
  let sent = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (sent < count) {
        sent++;
        await publish(publisher, { text, at: Date.now() });
      }
    }),
  );
}

/**
 * Publishes until the service detects a stall. The kernel buffers differ, so the number of messages does too.
 */
async function publishUntil(
  publisher: Client,
  each: number,
  noticed: () => Promise<boolean>,
): Promise<number> {
  for (let sent = each; ; sent += each) {
    await publishMany(publisher, each, 4000);
    if (await noticed()) return sent;
    assert.ok(sent < 12_000, 'the stall is detected');
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n + 1);

describe('[P7] slow readers', function () {
  this.timeout(120_000);
  let redis: TestRedis;
  let replica: TestReplica;
  const readers: RawReader[] = [];
  let publisher: Client;

  const start = async (settings: NodeJS.ProcessEnv) => {
    redis = await TestRedis.start();
    replica = await TestReplica.start({ REDIS_URL: redis.url, ...settings });
    publisher = await connectClient(replica.url, 'publisher');
  };
  const open = async (count: number, name: string): Promise<RawReader[]> => {
    const opened = await Promise.all(
      Array.from({ length: count }, (_, n) => RawReader.open(replica.url, `${name}-${n}`, topic)),
    );
    readers.push(...opened);
    return opened;
  };
  afterEach(async () => {
    publisher.close();
    for (const reader of readers.splice(0)) reader.close();
    await replica.end('SIGKILL');
    await redis.stop();
  });

  it('use bounded memory while stalled at the TCP level, do not delay others, and get everything in order afterwards', async () => {
    const limitBytes = 65_536;
    const cacheBytes = 8_388_608;
    await start({
      RTC_OUTBOX_LIMIT_BYTES: String(limitBytes),
      RTC_TOPICS_CATCH_UP_CACHE_BYTES: String(cacheBytes),
    });
    const live = await open(200, 'live');
    const stalled = await open(200, 'stalled');
    await publishMany(publisher, 50, 4000);
    await until(() => readers.every(({ sequences }) => sequences.length === 50), 'all are reading');
    const memory = async () =>
      (await replica.json<{ memory: { rss_bytes: number } }>('/metrics')).memory.rss_bytes;
    const before = await memory();
    for (const reader of stalled) reader.stall();
    for (const reader of live) reader.longestDelayMs = 0;
    const behind = async () => (await replica.json<{ topics: { behind: number } }>('/metrics')).topics.behind;
    const total = 50 + (await publishUntil(publisher, 1500, async () => (await behind()) === 200));
    await until(
      () => live.every(({ sequences }) => sequences.length === total),
      'the live ones have everything',
      30_000,
    );
    const growth = (await memory()) - before;
    assert.ok(
      growth < 64 * 1024 * 1024 + 200 * limitBytes + cacheBytes,
      `memory grew by ${Math.round(growth / 1024 / 1024)} MiB`,
    );
    const longest = Math.max(...live.map(({ longestDelayMs }) => longestDelayMs));
    assert.ok(longest < 5000, `a live one waited ${longest} ms`);
    for (const reader of stalled) reader.resume();
    await publishMany(publisher, 10, 4000);
    await until(
      () => readers.every(({ sequences }) => sequences.length >= total + 10),
      'the stalled ones have caught up',
      60_000,
    );
    for (const { sequences, gaps } of readers) assert.deepEqual([sequences, gaps], [numbers(total + 10), []]);
    await until(
      async () => (await replica.json<{ topics: { behind: number } }>('/metrics')).topics.behind === 0,
      'all are live again',
    );
  });

  const rssBytes = async () =>
    (await replica.json<{ memory: { rss_bytes: number } }>('/metrics')).memory.rss_bytes;
  const growthLimitBytes = 64 * 1024 * 1024;

  for (const wire of ['Socket.IO', '/ws'] as const) {
    it(`cannot request more than they read on ${wire}: memory stays bounded, and all commands are answered in order`, async () => {
      await start({});
      await publishMany(publisher, 200, 20_000);
      const url = replica.url.replace('http', 'ws');
      const webSocket = new WebSocket(
        wire === '/ws'
          ? `${url}/ws?token=${tokenOf('asker')}`
          : `${url}/socket.io/?EIO=4&transport=websocket`,
      );
      let isIn = false;
      const answers: number[] = [];
      webSocket.on('message', (data: Buffer) => {
        const head = data.toString('latin1', 0, 100);
        if (head.startsWith('0{')) webSocket.send(`40${JSON.stringify({ token: tokenOf('asker') })}`);
        else if (head === '2') webSocket.send('3');
        else if (head.startsWith('40{')) return;
        else if (head.includes('"status"') || head.includes('"Status"')) isIn = true;
        else {
          const id =
            /^43(\d+)\[/.exec(head)?.[1] ?? /"id":(\d+)/.exec(data.toString('latin1', data.length - 40))?.[1];
          answers.push(Number(id ?? /"id":(\d+)/.exec(head)?.[1]));
        }
      });
      await until(() => isIn, 'the client is connected');
      const before = await rssBytes();
      const tcp = (webSocket as unknown as { _socket: { pause(): void; resume(): void } })._socket;
      tcp.pause();
      const count = 150;
      for (let n = 1; n <= count; n++) {
        const asked = { topic, limit: 200 };
        webSocket.send(
          wire === '/ws'
            ? JSON.stringify({ type: 'GetHistory', data: asked, id: n })
            : `42${n}${JSON.stringify(['history', asked])}`,
        );
      }
      // Without a limit these answers take 600 MB.
      let highest = 0;
      for (let n = 0; n < 40; n++) {
        highest = Math.max(highest, (await rssBytes()) - before);
        await sleep(50);
      }
      assert.ok(highest < growthLimitBytes, `memory grew by ${Math.round(highest / 2 ** 20)} MiB`);
      await publish(publisher, { others: 'are not disturbed' });
      tcp.resume();
      await until(() => answers.length === count, 'all commands are answered', 60_000);
      assert.deepEqual(answers, numbers(count));
      webSocket.terminate();
    });
  }

  it('get no gap under drop_newest for messages that they have read again', async () => {
    await start({
      RTC_OUTBOX_LIMIT_BYTES: '65536',
      RTC_OUTBOX_OVERFLOW_STRATEGY: 'drop_newest',
      RTC_TOPICS_HISTORY_SIZE: '20000',
    });
    const reader = new JsonClient(replica.webSocketUrl, 'reader');
    await until(() => reader.of('Status').length === 1, 'it is connected');
    reader.send({ type: 'Subscribe', data: { topics: [topic] } });
    await until(() => reader.of('Status').length === 2, 'it is subscribed');
    await publishMany(publisher, 3, 4000);
    await until(() => reader.received.messages.length === 3, 'it reads');
    const since = reader.received.last!;
    const tcp = (reader.webSocket as unknown as { _socket: { pause(): void; resume(): void } })._socket;
    tcp.pause();
    const dropped = async () =>
      (await replica.json<{ outboxes: { dropped: number } }>('/metrics')).outboxes.dropped;
    // In small rounds: far over the limit, the service would leave the next command waiting until the client
    // reads. And until a whole round is dropped: after a burst the network may still have room.
    const each = 5;
    let droppedBefore = 0;
    await publishUntil(publisher, each, async () => {
      const droppedNow = await dropped();
      const isStuck = droppedNow - droppedBefore >= each;
      droppedBefore = droppedNow;
      return isStuck;
    });
    const { sequence: total } = (await publisher.emitWithAck('publish', {
      topic,
      payload: 'last',
    })) as TestAnswer;
    const before = reader.received.messages.length;
    reader.send({ type: 'Subscribe', data: { topics: [topic], since: { [topic]: since } } });
    const behind = async () => (await replica.json<{ topics: { behind: number } }>('/metrics')).topics.behind;
    await until(async () => (await behind()) === 1, 'it catches up');
    tcp.resume();
    await until(() => reader.received.last!.sequence === total, 'all messages arrive', 30_000);
    await until(async () => (await behind()) === 0, 'it is live again');
    await publish(publisher, { after: true });
    await until(() => reader.received.last!.sequence === total! + 1, 'later messages arrive');
    assert.deepEqual(reader.of('Gap'), []);
    const again = reader.received.sequences.slice(before);
    const from = again.lastIndexOf(since.sequence + 1);
    assert.deepEqual(again.slice(from), numbers(total! + 1).slice(since.sequence));
    reader.close();
  });

  it('leave their direct messages in the inbox until they read, and get each once and in order', async () => {
    await start({
      RTC_DIRECT_INBOX_SIZE: '5000',
      RTC_DIRECT_INBOX_BYTES: '500000000',
      RTC_DIRECT_INBOX_SENDER_PERCENT: '100',
    });
    const webSocket = new WebSocket(`${replica.webSocketUrl}?token=${tokenOf('stalled')}`);
    const got: number[] = [];
    let isIn = false;
    webSocket.on('message', (data: Buffer) => {
      const { type, data: content } = JSON.parse(data.toString()) as { type: string; data: Message };
      if (type === 'Status') isIn = true;
      if (type !== 'Direct') return;
      got.push((content.payload as { n: number }).n);
      webSocket.send(JSON.stringify({ type: 'Ack', data: { message_id: content.id } }));
    });
    await until(() => isIn, 'it is connected');
    const before = await rssBytes();
    const tcp = (webSocket as unknown as { _socket: { pause(): void; resume(): void } })._socket;
    tcp.pause();
    const text = 'x'.repeat(50_000);
    const count = 4000;
    for (let n = 0; n < count; n += 20) {
      const answers = await Promise.all(
        Array.from(
          { length: 20 },
          (_, i) =>
            publisher.emitWithAck('direct', {
              to: 'stalled',
              payload: { n: n + i, text },
              confirm: 'stored',
            }) as Promise<TestAnswer>,
        ),
      );
      assert.ok(answers.every(({ ok }) => ok));
    }
    const growth = (await rssBytes()) - before;
    // Without a limit it is about 300 MiB; data already sent to Redis waits for the garbage collector.
    assert.ok(growth < 2 * growthLimitBytes, `memory grew by ${Math.round(growth / 2 ** 20)} MiB`);
    tcp.resume();
    await until(() => got.length >= count, 'all arrive', 60_000);
    assert.deepEqual(
      got,
      numbers(count).map((n) => n - 1),
    );
    webSocket.terminate();
  });

  for (const strategy of ['drop_oldest', 'drop_newest'] as const) {
    it(`lose messages under ${strategy} at the right position, and get a gap for them`, async () => {
      await start({ RTC_OUTBOX_LIMIT_BYTES: '65536', RTC_OUTBOX_OVERFLOW_STRATEGY: strategy });
      const [stalled, live] = [(await open(1, 'stalled'))[0]!, (await open(1, 'live'))[0]!];
      stalled.stall();
      const dropped = async () =>
        (await replica.json<{ outboxes: { dropped: number } }>('/metrics')).outboxes.dropped;
      const total = 1 + (await publishUntil(publisher, 2000, async () => (await dropped()) > 0));
      stalled.resume();
      // The gap is sent when there is room again.
      await until(() => stalled.gaps.length > 0, 'the gap arrives', 30_000);
      await publish(publisher, { end: true });
      await until(
        () => stalled.sequences.at(-1) === total && live.sequences.length === total,
        'the last message arrives',
        30_000,
      );
      assert.deepEqual(live.sequences, numbers(total));
      const lost = total - stalled.sequences.length;
      const announced = stalled.gaps.reduce(
        (sum, gap) => sum + (gap.dropped ?? gap.sequence - gap.previous!.sequence),
        0,
      );
      assert.ok(lost > 0);
      assert.equal(announced, lost);
      assert.deepEqual(
        stalled.sequences,
        [...stalled.sequences].sort((a, b) => a - b),
      );
    });
  }

  it('are closed under disconnect, without effect on others', async () => {
    await start({ RTC_OUTBOX_LIMIT_BYTES: '65536', RTC_OUTBOX_OVERFLOW_STRATEGY: 'disconnect' });
    const [stalled, live] = [(await open(1, 'stalled'))[0]!, (await open(1, 'live'))[0]!];
    stalled.stall();
    const disconnected = async () =>
      (await replica.json<{ outboxes: { disconnected: number } }>('/metrics')).outboxes.disconnected;
    const total = await publishUntil(publisher, 2000, async () => (await disconnected()) > 0);
    await until(() => live.sequences.length === total, 'the live one has everything', 30_000);
    assert.equal(await disconnected(), 1);
    await until(
      async () => (await replica.json<{ active_connections: number }>('/metrics')).active_connections === 2,
      'it is gone',
      30_000,
    );
  });
});

describe('[P2] batches', function () {
  this.timeout(60_000);
  let redis: TestRedis;
  let replica: TestReplica;
  const open: { close(): unknown }[] = [];
  before(async () => {
    redis = await TestRedis.start();
    replica = await TestReplica.start({ REDIS_URL: redis.url });
  });
  after(async () => {
    for (const one of open) one.close();
    await replica.end('SIGKILL');
    await redis.stop();
  });

  it('are decoded by every kind of client, also during upgrades from polling to WebSocket', async () => {
    const publisher = await connectClient(replica.url, 'publisher');
    open.push(publisher);
    const all: Received[] = [];
    const upgraded: Socket[] = [];
    const subscribe = async (transports: ('polling' | 'websocket')[]) => {
      const received = new Received();
      const socket = io(replica.url, { forceNew: true, transports, auth: { token: tokenOf('reader') } });
      open.push(socket);
      socket.on('message', (message: Message) => received.add(message));
      // All messages from the first one on, so that all can be compared.
      await new Promise<void>((resolve) => socket.once('connect', resolve));
      const since = start === undefined ? {} : { since: { [topic]: start } };
      await socket.emitWithAck('subscribe', { topics: [topic], ...since });
      all.push(received);
      if (transports.length > 1) upgraded.push(socket);
    };
    const { epoch } = (await publisher.emitWithAck('publish', { topic: 'other', payload: 1 })) as TestAnswer;
    assert.ok(epoch);
    const first = (await publisher.emitWithAck('publish', { topic, payload: 0 })) as TestAnswer;
    const start = { epoch: first.epoch!, sequence: 1 };
    const json = new JsonClient(replica.webSocketUrl, 'reader');
    open.push(json);
    await until(() => json.of('Status').length > 0, 'the /ws client is connected');
    json.send({ type: 'Subscribe', data: { topics: [topic] } });
    await until(() => json.of('Status').length > 1, 'the /ws client is subscribed');
    all.push(json.received);
    let sent = 0;
    const publishing = Promise.all(
      Array.from({ length: 10 }, async () => {
        while (sent < 4000) {
          sent++;
          await publish(publisher, {
            n: sent,
            text: 'ü\u001e',
            ...(sent % 50 === 0 && { bytes: Buffer.from([sent % 256]) }),
          });
        }
      }),
    );
    // They join and upgrade during the stream.
    for (let n = 0; n < 5; n++) {
      await Promise.all([
        subscribe(['polling', 'websocket']),
        subscribe(['polling']),
        subscribe(['websocket']),
      ]);
      await sleep(100);
    }
    await publishing;
    await until(
      () => all.every(({ messages }) => messages.length >= 4000),
      'every client has every message',
      30_000,
    );
    const expected = numbers(4001).slice(1);
    for (const { sequences } of all) assert.deepEqual(sequences, expected);
    for (const { messages } of all.slice(1)) assert.deepEqual(messages, all[1]!.messages);
    const asJson = all[1]!.messages.map((message) => ({
      ...message,
      payload: base64(message.payload as { bytes?: Buffer }),
    }));
    assert.deepEqual(json.received.messages, asJson);
    for (const socket of upgraded) assert.equal(socket.io.engine.transport.name, 'websocket');
  });
});

function base64(payload: { bytes?: Buffer }): object {
  return payload.bytes === undefined
    ? payload
    : { ...payload, bytes: { $base64: payload.bytes.toString('base64') } };
}
