import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Backoff, createClient, ClientError, type Client, type ClientOptions } from '../../client/index.js';
import { ConnectionMonitor, GuideClient } from '../../client/guide.js';
import { savedState } from '../../client/state.js';
import { Closing } from '../support/closing.js';
import { startEmbedded } from '../support/embedded-service.js';
import { root } from '../support/root.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

const guide = [
  ...readFileSync(join(root, 'docs/client.md'), 'utf8').matchAll(/```js\n\/\/ guide: (\w+)\n([^]*?)```/g),
].map(([, name = '', program = '']) => ({ name, program }));

describe('[CLIENT] the client library', () => {
  const closing = new Closing();
  let replica: TestReplica;

  beforeEach(async () => {
    replica = await TestReplica.start({
      RTC_AUTH_TOKEN_NOTICE_SECS: '3600',
      RTC_WEBSOCKET_HEARTBEAT_INTERVAL_SECS: '1',
      RTC_WEBSOCKET_CLIENT_TIMEOUT_SECS: '2',
    });
    closing.add(() => replica.end('SIGKILL'));
  });
  afterEach(() => closing.close());

  function clientOf(options: Partial<ClientOptions> = {}): Client {
    const client = createClient({
      url: replica.url,
      token: tokenOf('ann'),
      reconnect: { baseDelayMs: 20, maxDelayMs: 200 },
      ...options,
    });
    closing.add(() => Promise.resolve(client.close()));
    return client;
  }

  it('does nothing before connect()', () => {
    const client = clientOf();
    assert.equal(client.state.state, 'idle');
    assert.equal(client.isConnected, false);
  });

  it('begins with the last messages as one batch, and goes on live', async () => {
    const client = clientOf().connect();
    for (let n = 1; n <= 5; n++) await client.topic('news').publish(n);
    const batches: { payloads: unknown[]; replayed: boolean }[] = [];
    client
      .topic('news')
      .subscribe({ last: 3 })
      .on('batch', ({ messages, replayed }) => {
        batches.push({ payloads: messages.map(({ payload }) => payload), replayed });
      });
    await until(() => batches.length === 1, 'the last messages');
    await client.topic('news').publish(6);
    await until(() => batches.length === 2, 'a live message');
    assert.deepEqual(batches, [
      { payloads: [3, 4, 5], replayed: true },
      { payloads: [6], replayed: false },
    ]);
  });

  it('hands over one message at a time to an iterator, and closes with the loop', async () => {
    const client = clientOf().connect();
    for (let n = 1; n <= 3; n++) await client.topic('news').publish(n);
    const subscription = client.topic('news').subscribe({ last: 3 });
    const payloads: unknown[] = [];
    for await (const { payload } of subscription) if (payloads.push(payload) === 3) break;
    assert.deepEqual(payloads, [1, 2, 3]);
    const { users } = await client.topic('news').presence();
    assert.deepEqual(users, []);
  });

  it('joins a snapshot with the messages after its position', async () => {
    const client = clientOf().connect();
    for (let n = 1; n <= 4; n++) await client.topic('orders').publish(n);
    const { messages } = await client.topic('orders').history();
    const { epoch, sequence } = messages[1]!;
    const { state, subscription } = await client.getState('orders', () =>
      Promise.resolve({ state: 'two orders', position: { epoch, sequence } }),
    );
    const payloads: unknown[] = [];
    subscription.on('message', ({ payload }) => payloads.push(payload));
    await client.topic('orders').publish(5);
    await until(() => payloads.length === 3, 'the messages after the snapshot');
    assert.deepEqual([state, payloads], ['two orders', [3, 4, 5]]);
  });

  it('tells a loss, fetches the snapshot again and goes on, when the log is gone', async () => {
    const client = clientOf().connect();
    let snapshots = 0;
    const { subscription } = await client.getState('orders', () => Promise.resolve({ state: ++snapshots }));
    const payloads: unknown[] = [];
    subscription.on('message', ({ payload }) => payloads.push(payload));
    await client.topic('orders').publish(1);
    await until(() => payloads.length === 1, 'a message');
    const gaps: string[] = [];
    subscription.on('gap', ({ reason }) => gaps.push(reason));
    // In memory the log ends with the process.
    await replica.end('SIGKILL');
    await replica.run();
    await client.topic('orders').publish(2);
    await until(() => payloads.length === 2, 'the message after the loss');
    assert.deepEqual([payloads, gaps.length, snapshots], [[1, 2], 1, 2]);
  });

  it('keeps what is published without a connection, and publishes it once, in order', async () => {
    const client = clientOf();
    const monitor = new ConnectionMonitor(client);
    client.connect();
    await until(() => client.isConnected, 'connected');
    await replica.end('SIGKILL');
    await until(() => !client.isConnected, 'not connected');
    const receipts = [1, 2, 3].map((n) => client.topic('news').publish(n));
    assert.equal(client.pending.messages, 3);
    await replica.run();
    await Promise.all(receipts);
    const { messages } = await client.topic('news').history();
    assert.deepEqual(
      messages.map(({ payload }) => payload),
      [1, 2, 3],
    );
    assert.equal(client.pending.bytes, 0);
    const { count, reasons } = monitor.report().disconnects;
    assert.deepEqual([count, reasons.length], [1, 1]);
  });

  it('refuses what is too large, and more than the queue holds, before anything is sent', async () => {
    const client = clientOf({ outgoing: { max: 1 } });
    await assert.rejects(client.topic('news').publish('x'.repeat(70_000)), {
      code: 'message_too_large',
      limit: 65_536,
    });
    client
      .topic('news')
      .publish(1)
      .catch(() => {});
    await assert.rejects(client.topic('news').publish(2), { code: 'queue_full', limit: 1, retryable: true });
  });

  it('goes on after a reload where the listeners of the former page have returned', async () => {
    const store = new Map<string, string>();
    const state = savedState({
      store: {
        getItem: (key) => store.get(key),
        setItem: (key, value) => Promise.resolve(void store.set(key, value)),
        removeItem: (key) => store.delete(key),
      },
    });
    const publisher = clientOf().connect();
    const first = clientOf({ state });
    const seen: unknown[] = [];
    first
      .topic('news')
      .subscribe()
      .on('message', ({ payload }) => seen.push(payload));
    const subscribed = new Promise((resolve) =>
      first.on('status', ({ status }) => status === 'subscribed' && resolve(0)),
    );
    first.connect();
    await subscribed;
    await publisher.topic('news').publish(1);
    await until(() => seen.length === 1, 'the first message');
    first.close();
    await publisher.topic('news').publish(2);
    await publisher.topic('news').publish(3);
    const second = clientOf({ state });
    second
      .topic('news')
      .subscribe()
      .on('batch', ({ messages, replayed }) => seen.push([messages.map(({ payload }) => payload), replayed]));
    second.connect();
    await until(() => seen.length === 2, 'what was missed');
    assert.deepEqual(seen, [1, [[2, 3], true]]);
    assert.deepEqual(second.savedTopics, ['news']);
  });

  it('follows topics that are named as what every object has', async () => {
    const values = new Map<string, string>();
    const store = {
      getItem: (key: string) => values.get(key),
      setItem: (key: string, value: string) => void values.set(key, value),
      removeItem: (key: string) => values.delete(key),
    };
    const names = ['constructor', 'toString', 'hasOwnProperty'];
    const publisher = clientOf().connect();
    for (const name of names) await publisher.topic(name).publish('before');
    for (const state of [undefined, savedState({ store })]) {
      const client = clientOf({ token: tokenOf('bob'), ...(state && { state }) }).connect();
      const seen: unknown[] = [];
      for (const name of names) {
        const subscription = client.topic(name).subscribe();
        subscription.on('message', ({ topic, payload }) => seen.push([topic, payload]));
        subscription.on('gap', (gap) => seen.push(gap));
        await new Promise((resolve) => subscription.on('subscribed', resolve));
      }
      for (const name of names) await publisher.topic(name).publish('live');
      await until(() => seen.length >= names.length, 'all arrives');
      assert.deepEqual(
        seen,
        names.map((name) => [name, 'live']),
      );
      client.close();
    }
  });

  it('goes on where it began after a reload before the first message', async () => {
    const values = new Map<string, string>();
    const store = {
      getItem: (key: string) => values.get(key),
      setItem: (key: string, value: string) => void values.set(key, value),
      removeItem: (key: string) => values.delete(key),
    };
    const first = clientOf({ state: savedState({ store }) }).connect();
    const subscription = first.topic('news').subscribe();
    await new Promise((resolve) => subscription.on('subscribed', resolve));
    first.close();
    await clientOf().connect().topic('news').publish(1);
    const second = clientOf({ state: savedState({ store }) }).connect();
    for await (const { payload } of second.topic('news').subscribe()) {
      assert.equal(payload, 1);
      break;
    }
  });

  it('stops with auth_failed when a static token is refused, and when a function gives none that is accepted', async () => {
    const reasons: string[] = [];
    for (const token of ['wrong', (reason: string) => (reasons.push(reason), Promise.resolve('wrong'))]) {
      const client = clientOf({ token });
      const failure = new Promise<ClientError>((resolve) => client.on('auth_failed', resolve));
      client.connect();
      assert.match((await failure).message, /docs\/tokens\.md/);
      assert.equal(client.state.state, 'stopped');
    }
    assert.deepEqual(reasons, ['connect', 'refused', 'refused']);
  });

  it('renews its token before it expires', async () => {
    const reasons: string[] = [];
    const client = clientOf({
      token: (reason) => (reasons.push(reason), tokenOf('ann', { jti: String(reasons.length) })),
    });
    client.connect();
    await until(() => reasons.length >= 2, 'the token is renewed');
    assert.deepEqual(reasons.slice(0, 2), ['connect', 'expiring']);
  });

  it('gives up after the attempts that it may make, and says so', async () => {
    await replica.end('SIGKILL');
    const client = clientOf({ reconnect: { baseDelayMs: 5, maxAttempts: 3 } });
    const failure = new Promise<ClientError>((resolve) => client.on('give_up', resolve));
    client.connect();
    assert.match((await failure).message, /after 3 attempts/);
  });

  it('waits as long as a refusal without Socket.IO asks for, by Retry-After', async () => {
    const proxy = createServer((_, response) => response.writeHead(503, { 'Retry-After': '3' }).end('busy'));
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    closing.add(() => new Promise((resolve) => proxy.close(resolve)));
    const client = clientOf({ url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` });
    const delay = new Promise<number | undefined>((resolve) =>
      client.on('state', ({ state, delayMs }) => state === 'waiting' && resolve(delayMs)),
    );
    client.connect();
    assert.ok((await delay)! >= 3000);
  });

  it('chooses its delay in the window that a status of the service names', async () => {
    const embedded = await startEmbedded();
    closing.add(() => embedded.service.close());
    const client = clientOf({ url: embedded.url, random: () => 0.5 }).connect();
    await until(() => client.isConnected, 'connected');
    const delay = new Promise<number | undefined>((resolve) =>
      client.on('state', ({ state, delayMs }) => state === 'waiting' && resolve(delayMs)),
    );
    embedded.service.io.emit('status', { status: 'draining', details: { reconnect_window_ms: 8000 } });
    embedded.service.io.disconnectSockets(true);
    assert.equal(await delay, 4000);
  });

  it('confirms a message when the listeners of its subscribers have returned', async () => {
    const reader = clientOf({ token: tokenOf('bob') }).connect();
    let isHandled = false;
    const subscription = reader.topic('news').subscribe();
    const subscribed = new Promise((resolve) => subscription.on('subscribed', resolve));
    subscription.on('message', async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      isHandled = true;
    });
    await subscribed;
    const { delivered, expected } = await clientOf()
      .connect()
      .topic('news')
      .publish(1, { confirm: 'delivered', timeoutMs: 10_000 });
    assert.deepEqual([delivered, expected, isHandled], [1, 1, true]);
  });

  it('publishes what was given, also when the app changes its object afterwards', async () => {
    const client = clientOf();
    const order = { amount: 1, placed: new Date(0), binary: new Uint8Array([1, 2]) };
    const receipt = client.topic('news').publish(order);
    order.amount = 2;
    client.connect();
    await receipt;
    const { messages } = await client.topic('news').history();
    assert.deepEqual(messages[0]?.payload, {
      amount: 1,
      placed: '1970-01-01T00:00:00.000Z',
      binary: Buffer.from([1, 2]),
    });
  });

  it('acknowledges a direct message when its listeners have returned, and hands it over once', async () => {
    const bob = clientOf({ token: tokenOf('bob') }).connect();
    const received: unknown[] = [];
    await clientOf().connect().direct('bob', 'early', { confirm: 'stored' });
    bob.on('direct', async ({ payload }) => {
      await Promise.resolve();
      received.push(payload);
    });
    const { delivered } = await clientOf().connect().direct('bob', 'hi');
    assert.deepEqual([received, delivered], [['early', 'hi'], 1]);
  });

  it('sends presence events of a subscription that asks for them', async () => {
    const ann = clientOf().connect();
    const subscription = ann.topic('room').subscribe({ presence: true });
    const users: string[] = [];
    subscription.on('presence', ({ event, user_id: user }) => users.push(`${user} ${event}`));
    await new Promise((resolve) => subscription.on('subscribed', resolve));
    const bob = clientOf({ token: tokenOf('bob') }).connect();
    bob.topic('room').subscribe();
    await until(() => users.includes('bob join'), 'bob is there');
    bob.close();
    await until(() => users.includes('bob leave'), 'bob has left');
  });

  it('tells the reason when the service refuses a topic, and an iterator throws it', async () => {
    const client = clientOf({ token: tokenOf('ann', { topics: ['mine'] }) }).connect();
    const read = async () => {
      for await (const message of client.topic('yours').subscribe()) assert.fail(message.id);
    };
    await assert.rejects(read(), { code: 'forbidden', retryable: false });
  });

  describe('has counterparts of the guide', () => {
    it('for each of its classes', () => {
      const names = [
        'ConnectionMonitor',
        'ReconnectStrategy',
        'StatefulReconnection',
        'OrderedMessageHandler',
      ];
      assert.deepEqual(
        guide.map(({ name }) => name),
        [...names, 'checkMessageSize', 'Status'],
      );
    });
    for (const { name, program } of guide)
      it(`that run: ${name}`, async () => {
        const client = clientOf({ pingEveryMs: 20 }).connect();
        const guideClient = new GuideClient(client);
        await until(() => client.isConnected, 'connected');
        const lines: string[] = [];
        const print = { log: (...parts: unknown[]) => void lines.push(parts.join(' ')), error: assert.fail };
        const given = { client, guideClient, createClient, Backoff, ConnectionMonitor, console: print };
        const run = new Function(...Object.keys(given), `return (async () => {${program}})();`) as (
          ...given: unknown[]
        ) => Promise<void>;
        await run(...Object.values(given));
        if (name === 'checkMessageSize') return;
        await until(async () => {
          await client.topic('news').publish(1);
          if (name === 'StatefulReconnection') guideClient.subscribe(['news']);
          return lines.length > 0;
        }, 'the program prints something');
        assert.match(lines[0]!, /Ping latency|Reconnecting in \d+ms|^\d+|Subscribed to: news/);
      });
  });
});
