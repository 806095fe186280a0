import assert from 'node:assert/strict';
import { connectClient, emit, type TestAnswer } from '../support/clients.js';
import { Closing } from '../support/closing.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';
import { RoundRobin } from '../support/round-robin.js';
import { until } from '../support/wait.js';

describe('[POLL] long-polling between replicas without sticky sessions', function () {
  this.timeout(60_000);
  const closing = new Closing();
  let redis: TestRedis;
  const replicas: TestReplica[] = [];
  let balancer: RoundRobin;

  before(async () => {
    redis = await TestRedis.start();
    for (const id of ['a', 'b', 'c'])
      replicas.push(await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: id }));
  });
  beforeEach(async () => {
    balancer = await RoundRobin.start(replicas.map(({ port }) => port));
    closing.add(() => balancer.stop());
  });
  afterEach(() => closing.close());
  after(async () => {
    for (const replica of replicas) await replica.end('SIGKILL');
    await redis.stop();
  });

  const connect = async (user: string, transports: ('polling' | 'websocket')[] = ['polling']) => {
    const socket = await connectClient(balancer.url, user, { transports });
    closing.add(async () => socket.disconnect());
    return socket;
  };

  it('subscribes, publishes and receives in order, whichever replica gets a request', async () => {
    const client = await connect('ann');
    const received: number[] = [];
    client.on('message', ({ payload }: { payload: number }) => received.push(payload));
    const subscribed = await emit(client, 'subscribe', { topics: ['news'] });
    assert.equal(subscribed.ok, true, JSON.stringify(subscribed));
    const answers: TestAnswer[] = [];
    for (let n = 0; n < 30; n++) answers.push(await emit(client, 'publish', { topic: 'news', payload: n }));
    assert.ok(answers.every(({ ok }) => ok));
    await until(() => received.length === 30, 'all messages');
    assert.deepEqual(received, [...Array(30).keys()]);
    assert.deepEqual(balancer.failures, []);
    assert.deepEqual(new Set(balancer.passed.map(({ replica }) => replica)), new Set([0, 1, 2]));
  });
});
