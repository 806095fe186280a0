import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import { describe as describeViolation } from '../../bench/chaos/checker/describe.js';
import { runScenario } from '../../bench/chaos/run-scenario.js';
import { clusterScenarios } from '../../bench/chaos/scenarios/cluster.js';
import { connectClient, emit } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { TestRedisCluster } from '../support/redis-cluster.js';
import { TestRedis } from '../support/redis.js';
import { root } from '../support/root.js';
import { until } from '../support/wait.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

describe('[CLUSTER] two replicas on a Redis Cluster', function () {
  this.timeout(60_000);
  let redis: TestRedisCluster;
  let one: EmbeddedService;
  let two: EmbeddedService;
  const clients: Socket[] = [];
  const connect = async (url: string, user: string, auth: object = {}) => {
    const socket = await connectClient(url, user, { auth });
    clients.push(socket);
    return socket;
  };

  before(async () => {
    redis = await TestRedisCluster.start();
    one = await startEmbedded({ REDIS_URL: redis.url, REPLICA_ID: 'one' });
    two = await startEmbedded({ REDIS_URL: redis.url, REPLICA_ID: 'two' });
    await until(
      async () => (await one.service.io.of('/').adapter.serverCount()) === 2,
      'both replicas are counted',
    );
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
  after(async () => {
    await one.service.close();
    await two.service.close();
    await redis.stop();
  });

  it('carry messages of topics on all shards to the clients of each other, in order', async () => {
    const [ann, bob] = [await connect(one.url, 'ann'), await connect(two.url, 'bob')];
    const topics = Array.from({ length: 30 }, (_, n) => `topic-${n}`);
    const received: string[] = [];
    bob.on('message', ({ topic, sequence }: { topic: string; sequence: number }) =>
      received.push(`${topic} ${sequence}`),
    );
    const subscribed = await emit(bob, 'subscribe', { topics });
    assert.deepEqual(subscribed['rejected'], []);
    for (const payload of [1, 2])
      for (const topic of topics) {
        const { ok, sequence, durability } = await emit(ann, 'publish', { topic, payload });
        assert.deepEqual([ok, sequence, durability], [true, payload, 'stored']);
      }
    await until(() => received.length === 2 * topics.length, 'all messages arrive');
    assert.deepEqual(received.sort(), topics.flatMap((topic) => [`${topic} 1`, `${topic} 2`]).sort());
  });

  it("answer Socket.IO's requests to all replicas", async () => {
    for (const [url, user] of [
      [one.url, 'ann'],
      [two.url, 'bob'],
    ] as const) {
      const socket = await connect(url, user);
      socket.on('question', (answer: (text: string) => void) => answer(user));
    }
    assert.equal((await one.service.io.fetchSockets()).length, 2);
    const answers = (await one.service.io.timeout(30_000).emitWithAck('question')) as string[];
    assert.deepEqual(answers.sort(), ['ann', 'bob']);
    const answer = (reply: (text: string) => void) => reply('two');
    two.service.io.on('question', answer);
    assert.deepEqual(await one.service.io.serverSideEmitWithAck('question'), ['two']);
    two.service.io.off('question', answer);
  });

  it('know who is present, keep inboxes, and resume sessions of each other', async () => {
    const ann = await connect(one.url, 'ann');
    await emit(ann, 'subscribe', { topics: ['here', 'there'] });
    const bob = await connect(two.url, 'bob');
    await until(
      async () => (await emit(bob, 'presence', { topic: 'here' }))['count'] === 1,
      'she is present on the other replica',
    );
    const { session_id: sessionId } = ann.status;
    ann.close();
    await until(async () => (await emit(bob, 'presence', { topic: 'here' }))['count'] === 0, 'she has left');
    await emit(bob, 'publish', { topic: 'there', payload: 'missed' });
    const sent = await emit(bob, 'direct', { to: 'ann', payload: 'waits' });
    assert.deepEqual([sent.ok, sent['queued']], [true, true]);
    const messages: unknown[] = [];
    const back = await connectClient(two.url, 'ann', {
      auth: { session_id: sessionId },
      listen: (socket) => {
        socket.on('message', ({ payload }: { payload: unknown }) => messages.push(payload));
        socket.on('direct', ({ payload }: { payload: unknown }, acknowledge: () => void) => {
          messages.push(payload);
          acknowledge();
        });
      },
    });
    clients.push(back);
    assert.equal(back.status['recovered'], true);
    await until(() => messages.length === 2, 'both messages arrive');
    assert.deepEqual(messages.sort(), ['missed', 'waits']);
  });

  it('refuse to start with a Redis that is no cluster, and say what to do', async () => {
    const single = await TestRedis.start();
    try {
      const url = `redis+cluster://127.0.0.1:${single.port}`;
      await assert.rejects(startEmbedded({ REDIS_URL: url }), (error: Error) => {
        assert.match(error.message, /this Redis does not run in cluster mode: use redis:\/\//);
        return error.name === 'UnsupportedStoreError';
      });
    } finally {
      await single.stop();
    }
  });

  it('are not ready after a start while a node is down, since they admit nobody, until it is back', async () => {
    const partial = await TestRedisCluster.start();
    const [first, second] = partial.nodes as [TestRedis, TestRedis];
    await second.signal('SIGKILL');
    await until(
      async () => (await first.command('GET key'))?.startsWith('-CLUSTERDOWN') === true,
      'the others have noticed',
    );
    const late = await startEmbedded({ REDIS_URL: partial.url, REPLICA_ID: 'late' });
    try {
      const readiness = async () => (await fetch(`${late.url}/health/ready`)).status;
      assert.equal(await readiness(), 503);
      await assert.rejects(connect(late.url, 'ann'));
      await second.run();
      await until(async () => (await readiness()) === 200, 'it is ready');
      assert.ok((await connect(late.url, 'ann')).connected);
    } finally {
      await late.service.close();
      await partial.stop();
    }
  });
});

describe('[P5] a failover in a Redis Cluster', function () {
  this.timeout(240_000);

  it(`keeps P1 to P5 for 200 topics on all shards, while slots move and a primary with a lagging replica is killed (SEED=${seed})`, async () => {
    const scenario = clusterScenarios.find(({ name }) => name === 'short-cluster')!;
    const { events, violations } = await runScenario({ scenario, seed, apps: { current: root } });
    assert.deepEqual(
      violations.map((violation) => describeViolation(events, violation)),
      [],
    );
    const stored = new Set(events.flatMap((event) => (event.kind === 'stored' ? [event.id] : [])));
    const lost = events.filter(
      (event) => event.kind === 'published' && event.outcome === 'acknowledged' && !stored.has(event.id),
    );
    assert.ok(lost.length > 0, 'acknowledged messages of the shard were lost');
    const isTold = (event: (typeof events)[number]) =>
      event.kind === 'gap' || ('recovered' in event && event.recovered === false);
    assert.ok(events.some(isTold), 'somebody was told');
  });
});
