import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { createClient } from 'redis';
import type { Socket } from 'socket.io-client';
import { connectClient, emit, SteadySubscriber, type TestAnswer } from '../support/clients.js';
import { Closing } from '../support/closing.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { RoundRobin } from '../support/round-robin.js';
import { StrayPoller } from '../support/stray-poller.js';
import { until } from '../support/wait.js';

interface PollingCounts {
  readonly forwarded: number;
  readonly served: number;
  readonly failed: number;
  readonly upgrades_refused: number;
}

const countsOf = async (replica: TestReplica) => {
  const headers = { Authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` };
  return (await replica.json<{ polling: PollingCounts }>('/metrics', { headers })).polling;
};

describe('[POLL] long-polling between replicas without sticky sessions', function () {
  this.timeout(60_000);
  const closing = new Closing();
  let redis: TestRedis;
  let replicas: TestReplica[] = [];
  let a: TestReplica;
  let b: TestReplica;

  const startReplica = (id: string) => TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: id });
  before(async () => {
    redis = await TestRedis.start();
    replicas = [await startReplica('a'), await startReplica('b'), await startReplica('c')];
    [a, b] = replicas as [TestReplica, TestReplica, TestReplica];
  });
  afterEach(() => closing.close());
  after(async () => {
    for (const replica of replicas) await replica.end('SIGKILL');
    await redis.stop();
  });

  const balance = async (over: readonly TestReplica[] = replicas) => {
    const balancer = await RoundRobin.start(over.map(({ port }) => port));
    closing.add(() => balancer.stop());
    return balancer;
  };
  const connect = async (
    url: string,
    user: string,
    transports: ('polling' | 'websocket')[] = ['polling'],
  ) => {
    const socket = await connectClient(url, user, { transports });
    closing.add(async () => void socket.disconnect());
    return socket;
  };
  /** Messages between replicas about long-polling, as Redis sees them. */
  const busMessages = async () => {
    const client = createClient({ url: redis.url });
    await client.connect();
    closing.add(async () => client.destroy());
    const seen: number[] = [];
    await client.pSubscribe('rtc:bus:*', (text) => {
      const { kind, data } = JSON.parse(text) as { kind: string; data: { f?: object[] } };
      // Without frames: heartbeats of what earlier tests have left.
      if (kind === 'polling' && data.f !== undefined) seen.push(text.length);
    });
    return seen;
  };

  for (const number of [2, 3])
    it(`carries commands, answers and messages in order over ${number} replicas`, async () => {
      const balancer = await balance(replicas.slice(0, number));
      const clients = await Promise.all(['ann', 'ben', 'cid'].map((user) => connect(balancer.url, user)));
      const received = new Map<Socket, number[]>(clients.map((client) => [client, []]));
      for (const client of clients) {
        client.on('message', ({ payload }: { payload: number }, acknowledge: () => void) => {
          received.get(client)!.push(payload);
          acknowledge();
        });
        const topic = `news-${number}`;
        assert.equal((await emit(client, 'subscribe', { topics: [topic] })).ok, true);
      }
      const answers: TestAnswer[] = [];
      for (let n = 0; n < 25; n++)
        answers.push(
          await emit(clients[n % 3]!, 'publish', {
            topic: `news-${number}`,
            payload: n,
            confirm: 'delivered',
          }),
        );
      assert.ok(
        answers.every(({ ok, delivered }) => ok && delivered === 3),
        JSON.stringify(answers),
      );
      await until(() => [...received.values()].every(({ length }) => length === 25), 'all messages');
      for (const payloads of received.values()) assert.deepEqual(payloads, [...Array(25).keys()]);
      assert.deepEqual(balancer.failures, []);
      assert.equal(new Set(balancer.passed.map(({ replica }) => replica)).size, number);
    });

  it('acknowledges direct messages both ways', async () => {
    const balancer = await balance();
    const [dan, eve] = [await connect(balancer.url, 'dan'), await connect(balancer.url, 'eve')];
    eve.on('direct', (_message: unknown, acknowledge: () => void) => acknowledge());
    const answer = await emit(dan, 'direct', { to: 'eve', payload: 'hello', confirm: 'delivered' });
    assert.equal(answer['delivered'], 1, JSON.stringify(answer));
    assert.deepEqual(balancer.failures, []);
  });

  it('carries bodies and responses of many parts', async () => {
    const balancer = await balance();
    const client = await connect(balancer.url, 'fay');
    const payloads: string[] = [];
    client.on('message', ({ payload }: { payload: string }) => payloads.push(payload));
    await emit(client, 'subscribe', { topics: ['large'] });
    const sent = [...Array(12).keys()].map((n) => `${n}${'ü€'.repeat(10_000)}`);
    const answers = await Promise.all(
      sent.map((payload) => emit(client, 'publish', { topic: 'large', payload })),
    );
    assert.ok(
      answers.every(({ ok }) => ok),
      JSON.stringify(answers.map(({ error }) => error)),
    );
    await until(() => payloads.length === sent.length, 'all messages');
    assert.deepEqual(payloads, sent);
    assert.deepEqual(balancer.failures, []);
  });

  it('upgrades to WebSocket where the request meets the right replica, and leaves other clients with long-polling', async () => {
    const balancer = await balance();
    const clients = await Promise.all(
      [...Array(9).keys()].map((n) => connect(balancer.url, `gil-${n}`, ['polling', 'websocket'])),
    );
    await until(
      () => balancer.passed.filter(({ method }) => method === 'upgrade').length === clients.length,
      'every client has tried',
    );
    for (const client of clients) {
      const answer = await emit(client, 'publish', { topic: 'upgraded', payload: 1 });
      assert.equal(answer.ok, true, JSON.stringify(answer));
    }
    const upgrades = balancer.passed.filter(({ method }) => method === 'upgrade');
    assert.deepEqual(
      [...new Set(upgrades.map(({ status }) => status))].filter((s) => s !== 101),
      [409],
    );
    const onWebSocket = clients.filter((client) => client.io.engine.transport.name === 'websocket');
    assert.equal(onWebSocket.length, upgrades.filter(({ status }) => status === 101).length);
    assert.ok(clients.every(({ connected }) => connected));
  });

  it('sends nothing to other replicas for ids that nobody has given, or for requests at the right replica', async () => {
    const messages = await busMessages();
    const poller = await StrayPoller.join(a, a, 'hal');
    const forged = [
      ...[...Array(200).keys()].map(() => randomBytes(15).toString('base64url')),
      `${poller.sid.slice(0, -1)}${poller.sid.endsWith('A') ? 'B' : 'A'}`,
      `${poller.sid}A`,
      poller.sid.slice(0, 19),
      '__proto__',
      'constructor',
      '',
      'x'.repeat(4000),
    ];
    for (const sid of forged) {
      const address = `${b.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`;
      const answers = [await fetch(address), await fetch(address, { method: 'POST', body: '40' })];
      if (sid !== '') for (const { status } of answers) assert.equal(status, 400, sid);
      for (const answer of answers) await answer.text();
    }
    assert.equal(messages.length, 0);
  });

  it('asks a replica only once about a transport that has ended', async () => {
    const poller = await StrayPoller.join(a, b, 'ida');
    await poller.post(a, '1');
    await poller.post(a, '41');
    const before = await countsOf(b);
    for (let n = 0; n < 50; n++) {
      const [polled, posted] = [await poller.poll(b), await poller.post(b, '2')];
      if (n > 1) assert.deepEqual([polled.status, posted.status], [400, 400]);
    }
    assert.match((await poller.poll(b)).text, /Session ID unknown/);
    const { forwarded } = await countsOf(b);
    assert.ok(forwarded - before.forwarded <= 3, `${forwarded - before.forwarded} requests forwarded`);
  });

  it('stops sending a body where the owner refuses it: of a client that has not joined, at the limit of what it may send before', async () => {
    const messages = await busMessages();
    const poller = await StrayPoller.open(a);
    const { status } = await poller.post(b, `40${' '.repeat(900_000)}`);
    assert.equal(status, 413);
    // Of 900 kB: `websocket.max_join_bytes` (256 KiB) and the part in which it is exceeded, in Base64.
    assert.ok(messages.reduce((sum, bytes) => sum + bytes, 0) < 500_000, String(messages));
  });

  it('closes the transport of a client that abandons a poll, or that sends a body it does not finish', async () => {
    const poller = await StrayPoller.join(a, b, 'jan');
    const abort = new AbortController();
    const before = (await countsOf(a)).served;
    const polled = poller.poll(b, { signal: abort.signal }).catch((error: Error) => error.name);
    await until(async () => (await countsOf(a)).served > before, 'the poll waits');
    abort.abort();
    assert.equal(await polled, 'AbortError');
    await until(async () => (await poller.post(a, '3')).status === 400, 'the transport is closed');
    const other = await StrayPoller.join(a, b, 'jan');
    const unfinished = request(other.addressAt(b), { method: 'POST', headers: { 'Content-Length': 100 } });
    unfinished.on('error', () => {});
    unfinished.write('3', () => setTimeout(() => unfinished.destroy(), 50));
    await until(async () => (await other.post(a, '3')).status === 400, 'the transport is closed');
  });

  it('answers an earlier poll of a transport when the next one comes by another way', async () => {
    const poller = await StrayPoller.join(a, b, 'kim');
    const { served } = await countsOf(a);
    const polls = [poller.poll(b)];
    await until(async () => (await countsOf(a)).served > served, 'the first poll waits');
    polls.push(poller.poll(replicas[2]!));
    assert.deepEqual(await polls[0], { status: 200, text: '6', retryAfter: null });
    polls.push(poller.poll(a));
    assert.equal((await polls[1]!).text, '6');
    await poller.post(b, '420["ping",{"timestamp":1}]');
    assert.match((await polls[2]!).text, /^430\[\{"ok":true/);
  });

  it('forwards two polls of a transport at the same time, and no more', async () => {
    const owner = await startReplica('paused');
    closing.add(() => owner.end('SIGKILL'));
    const poller = await StrayPoller.join(owner, b, 'lou');
    const { forwarded } = await countsOf(b);
    owner.signal('SIGSTOP');
    const answers = await Promise.all([...Array(30).keys()].map(() => poller.poll(b)));
    assert.deepEqual(
      [409, 503].map((wanted) => answers.filter(({ status }) => status === wanted).length),
      [28, 2],
    );
    assert.equal((await countsOf(b)).forwarded - forwarded, 2);
  });

  it('answers 503 with a code and Retry-After if the replica that holds the transport is stopped, and works again afterwards', async () => {
    const owner = await startReplica('stopped');
    closing.add(() => owner.end('SIGKILL'));
    const poller = await StrayPoller.join(owner, b, 'lea');
    owner.signal('SIGSTOP');
    const [polled, posted] = await Promise.all([
      poller.poll(b),
      poller.post(b, '420["ping",{"timestamp":1}]'),
    ]);
    for (const { status, text, retryAfter } of [polled, posted]) {
      assert.equal(status, 503, text);
      assert.equal((JSON.parse(text) as { error: { code: string } }).error.code, 'unavailable');
      assert.equal(retryAfter, '1');
    }
    owner.signal('SIGCONT');
    // Until both replicas have noticed that they reach each other again, transports may be refused, and clients connect anew.
    let next: StrayPoller | undefined;
    await until(
      async () => (next = await StrayPoller.join(owner, b, 'lea').catch(() => undefined)) !== undefined,
      'a new transport works',
      20_000,
    );
    assert.equal((await next!.post(b, '3')).status, 200);
  });

  it('survives a moment without Redis: nothing is lost, and the transport stays', async () => {
    const balancer = await balance();
    const client = await connect(balancer.url, 'mia');
    let disconnects = 0;
    client.on('disconnect', () => disconnects++);
    const cut = createClient({ url: redis.url });
    await cut.connect();
    closing.add(async () => cut.destroy());
    for (let n = 0; n < 3; n++) {
      await cut.sendCommand(['CLIENT', 'KILL', 'TYPE', n === 1 ? 'pubsub' : 'normal', 'SKIPME', 'yes']);
      await until(async () => (await emit(client, 'ping', { timestamp: n })).ok, 'an answer');
    }
    assert.equal(disconnects, 0);
    assert.deepEqual(balancer.failures, []);
  });

  it('ends the transport if a poll comes again whose answer was lost on its way, and goes on if it was not answered yet', async () => {
    const poller = await StrayPoller.join(a, b, 'mo', String);
    const { served } = await countsOf(a);
    const first = poller.poll(b, { mark: 'one' });
    await until(async () => (await countsOf(a)).served > served, 'the poll waits');
    const again = poller.poll(replicas[2]!, { mark: 'one' });
    assert.equal((await first).text, '6');
    await poller.post(b, '420["ping",{"timestamp":1}]');
    assert.match((await again).text, /^430\[/);
    assert.equal((await poller.poll(a, { mark: 'one' })).status, 400);
    assert.equal((await poller.poll(a, { mark: 'two' })).status, 400);
    // The owner itself has answered it.
    const other = await StrayPoller.join(a, b, 'mo', String);
    await other.post(a, '420["ping",{"timestamp":1}]');
    assert.match((await other.poll(a, { mark: 'one' })).text, /^430\[/);
    assert.equal((await other.poll(b, { mark: 'one' })).status, 400);
  });

  it('leaves a client alone that gives all its requests the same mark', async () => {
    const poller = await StrayPoller.join(a, b, 'moe', () => 'same');
    for (const replica of replicas) {
      await poller.post(b, '420["ping",{"timestamp":1}]');
      assert.match((await poller.poll(replica, { mark: 'same' })).text, /^430\[/);
    }
  });

  it('ends the transport of a client without marks if the replica that has passed on its last answer is killed', async () => {
    const edge = await startReplica('short');
    closing.add(() => edge.end('SIGKILL'));
    const [poller, other] = [await StrayPoller.join(a, edge, 'ned'), await StrayPoller.join(a, b, 'ned-2')];
    await edge.end('SIGKILL');
    // A poll keeps the owner in touch with the other replica.
    await until(async () => (await poller.post(a, '3')).status === 400, 'its transport has ended', 20_000);
    assert.equal((await other.post(a, '3')).status, 200);
  });

  it('[P2] loses nothing when the replica behind which clients poll is killed', async () => {
    const edge = await startReplica('edge');
    closing.add(() => edge.end('SIGKILL'));
    const balancer = await balance([a, edge]);
    const subscribers = [...Array(6).keys()].map(
      (n) => new SteadySubscriber([balancer.url], `nia-${n}`, 'edge', ['polling']),
    );
    for (const subscriber of subscribers) closing.add(async () => subscriber.close());
    await Promise.all(subscribers.map((subscriber) => subscriber.ready()));
    const publisher = await connectClient(a.url, 'otto');
    closing.add(async () => void publisher.disconnect());
    for (let n = 1; n <= 60; n++) {
      if (n === 30) void edge.end('SIGKILL');
      assert.equal((await emit(publisher, 'publish', { topic: 'edge', payload: n })).ok, true);
    }
    await until(
      () => subscribers.every(({ received }) => received.sequences.length >= 60),
      'every subscriber has all messages',
      30_000,
    );
    for (const { received } of subscribers) {
      assert.deepEqual(
        received.sequences,
        [...Array(60).keys()].map((n) => n + 1),
      );
      assert.deepEqual(received.gaps, []);
    }
  });

  it('[P2] tells a client within seconds that the replica that holds its transport was killed, and loses nothing', async () => {
    const owner = await startReplica('owner');
    const balancer = await balance([b, owner]);
    const subscribers = [...Array(4).keys()].map(
      (n) => new SteadySubscriber([balancer.url], `pia-${n}`, 'owner', ['polling']),
    );
    for (const subscriber of subscribers) closing.add(async () => subscriber.close());
    await Promise.all(subscribers.map((subscriber) => subscriber.ready()));
    const publisher = await connectClient(b.url, 'otto');
    closing.add(async () => void publisher.disconnect());
    for (let n = 1; n <= 30; n++) {
      if (n === 15) await owner.end('SIGKILL');
      assert.equal((await emit(publisher, 'publish', { topic: 'owner', payload: n })).ok, true);
    }
    await until(
      () => subscribers.every(({ received }) => received.sequences.length >= 30),
      'every subscriber has all messages',
      30_000,
    );
    for (const { received } of subscribers) {
      assert.deepEqual(
        received.sequences,
        [...Array(30).keys()].map((n) => n + 1),
      );
      assert.deepEqual(received.gaps, []);
    }
  });
});
