import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import { connectClient, JsonClient } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';
import { until } from '../support/wait.js';

describe("[CLUSTER] Socket.IO's requests to all replicas", function () {
  this.timeout(60_000);
  let redis: TestRedis;
  let one: EmbeddedService;
  let two: EmbeddedService;
  let victim: TestReplica | undefined;
  const clients: { close(): unknown }[] = [];
  const connect = async (url: string, user: string): Promise<Socket> => {
    const socket = await connectClient(url, user, { query: { color: 'blue' } });
    clients.push(socket);
    return socket;
  };

  before(async () => {
    redis = await TestRedis.start();
    one = await startEmbedded({ REDIS_URL: redis.url, REPLICA_ID: 'one' }, { slimConnections: true });
    two = await startEmbedded({ REDIS_URL: redis.url, REPLICA_ID: 'two' }, { slimConnections: true });
    await until(
      async () => (await one.service.io.of('/').adapter.serverCount()) === 2,
      'both replicas are counted',
    );
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await victim?.end('SIGKILL');
    victim = undefined;
  });
  after(async () => {
    await one.service.close();
    await two.service.close();
    await redis.stop();
  });

  it('finds the sockets of other replicas, each with its handshake as plain data', async () => {
    await connect(two.url, 'ann');
    const json = new JsonClient(two.webSocketUrl, 'bob');
    clients.push(json);
    await until(() => json.of('Status').length > 0, 'a /ws client is connected');
    // What a connection does not need is released in the turn after it has joined.
    await new Promise(setImmediate);
    const sockets = await one.service.io.fetchSockets();
    assert.equal(sockets.length, 2);
    for (const { handshake } of sockets) {
      assert.deepEqual(typeof handshake.headers, 'object');
      assert.deepEqual(typeof handshake.url, 'string');
      assert.ok(Math.abs(Date.parse(handshake.time) - handshake.issued) < 1000, handshake.time);
      assert.equal(typeof handshake.address, 'string');
      assert.equal(typeof handshake.xdomain, 'boolean');
      assert.equal(typeof handshake.secure, 'boolean');
    }
    assert.ok(sockets.some(({ handshake }) => handshake.query['color'] === 'blue'));
    assert.ok(!JSON.stringify(sockets.map(({ handshake }) => handshake)).includes('token'));
    for (const { handshake } of await two.service.io.local.fetchSockets())
      assert.deepEqual(JSON.parse(JSON.stringify(handshake)), { ...handshake });
  });

  it('collects the acknowledgements of a broadcast from the clients of all replicas', async () => {
    for (const [url, user] of [
      [one.url, 'ann'],
      [two.url, 'bob'],
    ] as const) {
      const socket = await connect(url, user);
      socket.on('question', (answer: (text: string) => void) => answer(user));
    }
    const answers = (await one.service.io.timeout(30_000).emitWithAck('question')) as string[];
    assert.deepEqual(answers.sort(), ['ann', 'bob']);
  });

  it('collects the answers of replicas to a server-side event', async () => {
    const answer = (reply: (text: string) => void) => reply('two');
    two.service.io.on('question', answer);
    assert.deepEqual(await one.service.io.serverSideEmitWithAck('question'), ['two']);
    two.service.io.off('question', answer);
  });

  it('fails with an error that names what is missing when a replica dies during the request', async () => {
    victim = await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: 'victim' });
    const { io } = one.service;
    await until(async () => (await io.of('/').adapter.serverCount()) === 3, 'the third replica is counted');
    const answer = (reply: (text: string) => void) => reply('two');
    two.service.io.on('question', answer);
    victim.signal('SIGSTOP');
    const startedAt = performance.now();
    const requests = Promise.all([
      assert.rejects(io.fetchSockets(), /timeout reached while waiting for fetchSockets response/),
      assert.rejects(
        io.serverSideEmitWithAck('question'),
        /timeout reached: only 1 responses received out of 2/,
      ),
      assert.rejects(io.timeout(2000).emitWithAck('question'), /operation has timed out/),
    ]);
    // All requests wait now, because the replicas have been counted.
    await io.of('/').adapter.serverCount();
    await victim.end('SIGKILL');
    await requests;
    two.service.io.off('question', answer);
    assert.ok(performance.now() - startedAt < 8000);
    assert.ok(Array.isArray(await io.fetchSockets()));
  });

  for (const trouble of ['SIGSTOP', 'SIGKILL'] as const) {
    it(`fails with an error when Redis does not answer (${trouble})`, async () => {
      const { io } = one.service;
      await redis.signal(trouble);
      const startedAt = performance.now();
      await Promise.all([
        assert.rejects(io.fetchSockets(), /timeout reached/),
        assert.rejects(io.serverSideEmitWithAck('question'), /timeout reached/),
        assert.rejects(io.timeout(1000).emitWithAck('question'), /operation has timed out/),
      ]);
      assert.ok(performance.now() - startedAt < 12_000);
      if (trouble === 'SIGSTOP') await redis.signal('SIGCONT');
      else await redis.run();
      const isAnswered = () =>
        io.fetchSockets().then(
          (sockets) => sockets.length === 0,
          () => false,
        );
      await until(
        async () => (await io.of('/').adapter.serverCount()) === 2 && (await isAnswered()),
        'requests are answered again',
        30_000,
      );
    });
  }
});
