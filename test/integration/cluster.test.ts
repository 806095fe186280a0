import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { JsonClient, SteadyPublisher, SteadySubscriber, type Received } from '../support/clients.js';
import { TestRedis, type Persistence } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';
import { until } from '../support/wait.js';

const topic = 'orders';

/** Two replicas on one Redis, with subscribers and publishers on both. */
class Cluster {
  readonly replicas: TestReplica[] = [];
  readonly subscribers: SteadySubscriber[] = [];
  readonly publishers: SteadyPublisher[] = [];
  readonly jsonClients: JsonClient[] = [];

  private constructor(readonly redis: TestRedis) {}

  static async start(persistence: Persistence = 'none', settings: readonly string[] = []): Promise<Cluster> {
    const cluster = new Cluster(await TestRedis.start(persistence, settings));
    for (const name of ['a', 'b'])
      cluster.replicas.push(await TestReplica.start({ REDIS_URL: cluster.redis.url, REPLICA_ID: name }));
    return cluster;
  }

  /** Replica addresses, beginning with the n-th. */
  urls(n: number): string[] {
    const urls = this.replicas.map((replica) => replica.url);
    return [...urls.slice(n % 2), ...urls.slice(0, n % 2)];
  }

  async subscribe(count: number, transports: ('polling' | 'websocket')[] = ['websocket']): Promise<void> {
    for (let n = 0; n < count; n++) {
      const subscriber = new SteadySubscriber(this.urls(n), `reader-${n}`, topic, transports);
      this.subscribers.push(subscriber);
      await subscriber.ready();
    }
  }

  async subscribeJson(): Promise<void> {
    for (const replica of this.replicas) {
      const client = new JsonClient(replica.webSocketUrl, 'json-reader');
      this.jsonClients.push(client);
      await until(() => client.of('Status').length > 0, 'a /ws client is connected');
      client.send({ type: 'Subscribe', data: { topics: [topic] } });
      await until(() => client.of('Status').length > 1, 'a /ws client is subscribed');
    }
  }

  /** Each publisher publishes its part, with several publishes at once, so that batches form. */
  async publish(publishers: number, each: number): Promise<void> {
    const lanes = 25;
    for (let p = 0; p < publishers; p++) {
      for (let lane = 0; lane < lanes; lane++) {
        this.publishers.push(new SteadyPublisher(this.urls(p), `publisher-${p}-${lane}`, topic));
      }
    }
    await Promise.all(this.publishers.map((publisher) => publisher.publish(1, each / lanes)));
  }

  /** Resolves when /health reports that Redis is unreachable. */
  async degraded(): Promise<void> {
    await until(
      async () => (await this.replicas[0]!.json<{ status: string }>('/health')).status === 'degraded',
      '/health reports that Redis is down',
      8000,
    );
  }

  /**
   * A connected publisher that publishes only on request. The other publishers may all have a publish in
   * progress when Redis becomes unreachable.
   */
  latecomer(): SteadyPublisher {
    const publisher = new SteadyPublisher(this.urls(0), 'latecomer', topic);
    this.publishers.push(publisher);
    return publisher;
  }

  /**
   * Publishes while Redis is unreachable; resolves when that was refused. `published` resolves when a
   * repetition was accepted.
   */
  async refusedMeanwhile(publisher: SteadyPublisher): Promise<{ readonly published: Promise<void> }> {
    await this.degraded();
    const published = publisher.publish(1, 1);
    await until(() => publisher.refusals.includes('unavailable'), 'publishes are refused');
    return { published };
  }

  get all(): Received[] {
    return [...this.subscribers, ...this.jsonClients].map(({ received }) => received);
  }

  async arrived(count: number, limitMs = 30_000): Promise<void> {
    await until(
      () => this.all.every(({ messages }) => messages.length >= count),
      `every subscriber has ${count} messages`,
      limitMs,
    ).catch((error: unknown) => {
      throw new Error(
        `${String(error)}; received: ${this.all.map(({ messages }) => messages.length).join(', ')}`,
      );
    });
  }

  async stop(): Promise<void> {
    for (const part of [...this.subscribers, ...this.publishers, ...this.jsonClients]) part.close();
    for (const replica of this.replicas) await replica.end('SIGKILL');
    await this.redis.stop();
  }

  /**
   * Every acknowledged message arrived once, in one order, and each publisher's messages in its own order.
   */
  check(total: number): void {
    const acknowledged = new Map(
      this.publishers.flatMap((one) => one.acknowledged.map(({ answer }) => [answer.id!, answer.sequence!])),
    );
    assert.equal(acknowledged.size, total, 'every publish was acknowledged with its own id');
    const [first] = this.all;
    for (const received of this.all) {
      assert.deepEqual(
        received.sequences,
        Array.from({ length: total }, (_, n) => n + 1),
        'sequences are 1, 2, 3, … without a hole or a repetition',
      );
      assert.deepEqual(
        received.messages,
        first!.messages,
        'all subscribers have the same content in the same order',
      );
    }
    for (const { id, sequence } of first!.messages)
      assert.equal(acknowledged.get(id), sequence, 'what arrived is what was acknowledged');
    const lastOf = new Map<string, number>();
    for (const { payload } of first!.messages) {
      const { from, n } = payload as { from: string; n: number };
      assert.equal(
        n,
        (lastOf.get(from) ?? 0) + 1,
        `messages of ${from} are in the order in which they were sent`,
      );
      lastOf.set(from, n);
    }
  }
}

describe('[P1] [P2] [P3] [P4] two replicas and one Redis', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  afterEach(() => cluster.stop());

  it('give every subscriber sequences 1 to 10,000 in one order, with identical content', async () => {
    cluster = await Cluster.start();
    await cluster.subscribe(4);
    await cluster.subscribeJson();
    await cluster.publish(4, 2500);
    await cluster.arrived(10_000);
    cluster.check(10_000);
  });

  it('do the same over HTTP long-polling', async () => {
    cluster = await Cluster.start();
    await cluster.subscribe(4, ['polling']);
    await cluster.publish(4, 500);
    await cluster.arrived(2000);
    cluster.check(2000);
  });

  it('lose and repeat no acknowledged message when a replica is killed during a stream', async () => {
    cluster = await Cluster.start();
    await cluster.subscribe(4);
    const publishing = cluster.publish(4, 2500);
    await until(
      () => cluster.subscribers[1]!.received.messages.length > 2000,
      'the stream is running',
      30_000,
    );
    await cluster.replicas[0]!.end('SIGKILL');
    await publishing;
    await cluster.arrived(10_000);
    cluster.check(10_000);
  });

  it('resume without help after Redis was stopped for 10 seconds; refused messages never appear', async () => {
    cluster = await Cluster.start();
    await cluster.subscribe(4);
    await cluster.subscribeJson();
    const publishing = cluster.publish(4, 2500);
    await until(
      () => cluster.subscribers[1]!.received.messages.length > 2000,
      'the stream is running',
      30_000,
    );
    const latecomer = cluster.latecomer();
    await cluster.redis.signal('SIGSTOP');
    const connectedBefore = cluster.subscribers.map(({ socket }) => socket.id);
    const { published } = await cluster.refusedMeanwhile(latecomer);
    await sleep(10_000);
    await cluster.redis.signal('SIGCONT');
    await Promise.all([publishing, published]);
    await cluster.arrived(10_001);
    cluster.check(10_001);
    assert.deepEqual(
      cluster.subscribers.map(({ socket }) => socket.id),
      connectedBefore,
      'connections stay open',
    );
  });

  it('keep every acknowledged message when Redis is killed and restarted with its data', async () => {
    // With `everysec` Redis answers before it has written, for up to two seconds, while the disk is busy.
    cluster = await Cluster.start('aof', ['--appendfsync', 'always']);
    await cluster.subscribe(4);
    await cluster.subscribeJson();
    const publishing = cluster.publish(4, 2500);
    await until(
      () => cluster.subscribers[1]!.received.messages.length > 2000,
      'the stream is running',
      30_000,
    );
    const latecomer = cluster.latecomer();
    await cluster.redis.signal('SIGKILL');
    const { published } = await cluster.refusedMeanwhile(latecomer);
    await cluster.redis.run();
    await Promise.all([publishing, published]);
    await cluster.arrived(10_001);
    cluster.check(10_001);
    const epochs = new Set(cluster.all[0]!.messages.map(({ epoch }) => epoch));
    assert.equal(epochs.size, 2, 'another Redis process means another epoch');
    assert.deepEqual(cluster.all[0]!.gaps, [], 'nothing was lost, so no gap is announced');
  });

  it('[P5] announce a new epoch when Redis comes back without its data', async () => {
    cluster = await Cluster.start('none');
    await cluster.subscribe(2);
    await cluster.publish(1, 100);
    await cluster.arrived(100);
    const before = cluster.all[0]!.last!;
    await cluster.redis.signal('SIGKILL');
    await cluster.redis.run();
    const publisher = new SteadyPublisher(cluster.urls(0), 'later', topic);
    cluster.publishers.push(publisher);
    await publisher.publish(1, 10);
    await cluster.arrived(110);
    for (const { gaps, messages } of cluster.all) {
      assert.equal(gaps.length, 1);
      assert.equal(gaps[0]!.reason, 'log_lost');
      const after = messages.slice(100);
      assert.ok(after.every(({ epoch }) => epoch === gaps[0]!.epoch && epoch !== before.epoch));
      assert.deepEqual(
        after.map(({ sequence }) => sequence),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      );
    }
    const late = new SteadySubscriber(cluster.urls(0), 'late', topic);
    cluster.subscribers.push(late);
    await late.ready();
    const answer = (await late.socket.emitWithAck('subscribe', {
      topics: [topic],
      since: { [topic]: before },
    })) as {
      topics: { recovered: boolean; epoch: string }[];
    };
    assert.equal(answer.topics[0]!.recovered, false);
    assert.notEqual(answer.topics[0]!.epoch, before.epoch);
  });
});
