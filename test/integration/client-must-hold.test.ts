import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo } from 'node:net';
import { FaultProxy } from '../../bench/chaos/faults/fault-proxy.js';
import { createClient, type Client } from '../../client/index.js';
import { Closing } from '../support/closing.js';
import { TestRedis, type Persistence } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

const patienceMs = 40_000;

/** A client that keeps what it is given. */
interface Reader {
  readonly client: Client;
  readonly list: unknown[];
  readonly losses: string[];
}

describe('[CLIENT] the client library loses nothing silently', function () {
  this.timeout(90_000);
  const closing = new Closing();
  afterEach(() => closing.close());

  async function startRedis(persistence: Persistence = 'aof'): Promise<TestRedis> {
    const redis = await TestRedis.start(persistence);
    closing.add(() => redis.stop());
    return redis;
  }

  async function startReplica(redis: TestRedis): Promise<TestReplica> {
    const replica = await TestReplica.start({
      REDIS_URL: redis.url,
      RTC_WEBSOCKET_HEARTBEAT_INTERVAL_SECS: '1',
      RTC_WEBSOCKET_CLIENT_TIMEOUT_SECS: '2',
    });
    closing.add(() => replica.end('SIGKILL'));
    return replica;
  }

  function clientAt(port: number, user: string): Client {
    const client = createClient({
      url: `http://127.0.0.1:${port}`,
      token: tokenOf(user),
      reconnect: { baseDelayMs: 50, maxDelayMs: 500 },
    });
    closing.add(() => Promise.resolve(client.close()));
    return client.connect();
  }

  async function read(port: number): Promise<Reader> {
    const client = clientAt(port, 'ann');
    const reader: Reader = { client, list: [], losses: [] };
    const subscription = client.topic('news').subscribe();
    const subscribed = new Promise((resolve) => subscription.on('subscribed', resolve));
    subscription.on('message', ({ payload }) => reader.list.push(payload));
    subscription.on('gap', ({ reason }) => reader.losses.push(reason));
    await subscribed;
    return reader;
  }

  const publish = async (client: Client, ...payloads: unknown[]) => {
    for (const payload of payloads) await client.topic('news').publish(payload);
  };
  const has = ({ list }: Reader, payload: unknown) =>
    until(() => list.includes(payload), `${String(payload)} arrives`, patienceMs);

  it('when the service restarts', async () => {
    const redis = await startRedis();
    const replica = await startReplica(redis);
    const reader = await read(replica.port);
    const publisher = clientAt(replica.port, 'bob');
    await publish(publisher, 1, 2);
    await has(reader, 2);
    await replica.end('SIGTERM');
    const queued = publish(publisher, 3);
    await replica.run();
    await queued;
    await publish(publisher, 4);
    await has(reader, 4);
    assert.deepEqual([reader.list, reader.losses], [[1, 2, 3, 4], []]);
  });

  it('when its replica is killed, and another one takes over', async () => {
    const redis = await startRedis();
    const [a, b] = [await startReplica(redis), await startReplica(redis)];
    const path = await FaultProxy.start(a.port);
    closing.add(() => path.stop());
    const reader = await read(path.port);
    const publisher = clientAt(b.port, 'bob');
    await publish(publisher, 1);
    await has(reader, 1);
    path.retarget(b.port);
    await a.end('SIGKILL');
    await publish(publisher, 2, 3);
    await has(reader, 3);
    assert.deepEqual([reader.list, reader.losses], [[1, 2, 3], []]);
  });

  it('when Redis is killed and comes back with its log', async () => {
    const redis = await startRedis();
    const replica = await startReplica(redis);
    const reader = await read(replica.port);
    const publisher = clientAt(replica.port, 'bob');
    await publish(publisher, 1);
    await has(reader, 1);
    await redis.signal('SIGKILL');
    const queued = publish(publisher, 2);
    await redis.run();
    await queued;
    await has(reader, 2);
    assert.deepEqual([reader.list, reader.losses], [[1, 2], []]);
  });

  it('when Redis is killed and comes back empty: the loss is told, and new messages follow', async () => {
    const redis = await startRedis('none');
    const replica = await startReplica(redis);
    const reader = await read(replica.port);
    const publisher = clientAt(replica.port, 'bob');
    await publish(publisher, 1, 2);
    await has(reader, 2);
    await redis.signal('SIGKILL');
    await redis.run();
    await publish(publisher, 'after the loss');
    await has(reader, 'after the loss');
    assert.deepEqual(reader.list, [1, 2, 'after the loss']);
    assert.deepEqual(reader.losses, ['log_lost']);
  });

  it('when Redis fails over and the last messages are lost: the loss is told, and new messages follow', async () => {
    const [older, newer] = [await startRedis(), await startRedis()];
    await newer.replicate(older);
    const path = await FaultProxy.start(older.port);
    closing.add(() => path.stop());
    const replica = await TestReplica.start({ REDIS_URL: `redis://127.0.0.1:${path.port}` });
    closing.add(() => replica.end('SIGKILL'));
    const reader = await read(replica.port);
    const publisher = clientAt(replica.port, 'bob');
    await publish(publisher, 1, 2);
    await until(() => newer.hasAllOf(older), 'both have the messages', patienceMs);
    await newer.promote();
    await publish(publisher, 'lost');
    await has(reader, 'lost');
    await older.signal('SIGKILL');
    path.retarget(newer.port);
    path.cut();
    await publish(publisher, 3);
    await has(reader, 3);
    assert.deepEqual(reader.list, [1, 2, 'lost', 3]);
    assert.deepEqual(reader.losses, ['log_rolled_back']);
  });

  it('when a proxy cuts its connection in the midst of a frame, again and again', async () => {
    const replica = await startReplica(await startRedis());
    let restBytes = Infinity;
    const proxy = createServer((near) => {
      const far = connect(replica.port, '127.0.0.1');
      near.pipe(far);
      far.on('data', (data: Buffer) => {
        near.write(data.subarray(0, restBytes));
        restBytes -= data.length;
        if (restBytes <= 0) {
          restBytes = Infinity;
          near.end();
          far.destroy();
        }
      });
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        one.on('error', () => {});
        one.on('close', () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    closing.add(() => new Promise((resolve) => proxy.close(resolve)));
    const reader = await read((proxy.address() as AddressInfo).port);
    const publisher = clientAt(replica.port, 'bob');
    const payloads = [3, 700, 20_000, 59_000].map((cutAfter) => ({ cutAfter, text: 'x'.repeat(60_000) }));
    for (const [i, payload] of payloads.entries()) {
      await until(() => reader.client.isConnected, 'connected', patienceMs);
      restBytes = payload.cutAfter;
      await publish(publisher, payload);
      await until(() => reader.list.length === i + 1, 'the message arrives', patienceMs);
    }
    assert.deepEqual([reader.list, reader.losses], [payloads, []]);
  });

  it('when the other end of its connection is there no more, and nobody has said so', async () => {
    const redis = await startRedis();
    const [a, b] = [await startReplica(redis), await startReplica(redis)];
    const path = await FaultProxy.start(a.port);
    closing.add(() => path.stop());
    const reader = await read(path.port);
    const writer = reader.client;
    await publish(writer, 1);
    await has(reader, 1);
    // The process is stopped: its connections stay open, and no byte comes any more.
    path.retarget(b.port);
    a.signal('SIGSTOP');
    closing.add(() => Promise.resolve(a.signal('SIGCONT')));
    await publish(writer, 2);
    await publish(clientAt(b.port, 'bob'), 3);
    await has(reader, 3);
    assert.deepEqual([reader.list, reader.losses], [[1, 2, 3], []]);
  });
});
