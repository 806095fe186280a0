import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { printAcl } from '../../server/cli/redis.js';
import { loadSettings } from '../../server/config/load.js';
import { hashSlot } from '../../server/storage/redis/cluster/hash-slot.js';
import { certificate } from '../support/certificate.js';
import { connectClient, emit } from '../support/clients.js';
import { Closing } from '../support/closing.js';
import { startEmbedded } from '../support/embedded-service.js';
import { TestRedisCluster } from '../support/redis-cluster.js';
import { freePort, until } from '../support/wait.js';

describe('a Redis Cluster with TLS, and a user with the rights that rtc redis acl gives', function () {
  this.timeout(90_000);
  const closing = new Closing();
  const topics = Array.from({ length: 30 }, (_, n) => `topic-${n}`);
  let directory: string;
  let cluster: TestRedisCluster;
  let environment: NodeJS.ProcessEnv;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rtc-tls-'));
    const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    writeFileSync(cert, certificate.cert);
    writeFileSync(key, certificate.key);
    cluster = await TestRedisCluster.start({ primaries: 3, replicas: 1, tls: { cert, key } });
    environment = {
      REDIS_URL: cluster.urlFor('least:password@'),
      RTC_REDIS_TLS_CA_FILE: cert,
      RTC_REDIS_TLS_CERT_FILE: cert,
      RTC_REDIS_TLS_KEY_FILE: key,
    };
    const line = aclLineOf(environment);
    for (const node of cluster.nodes) assert.equal(await node.command(line), '+OK');
  });
  afterEach(() => closing.close());
  after(async () => {
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const start = async (more: NodeJS.ProcessEnv) => {
    const started = await startEmbedded({ ...environment, ...more });
    closing.add(() => started.service.close());
    return started;
  };
  const connect = async (url: string, user: string) => {
    const socket = await connectClient(url, user);
    closing.add(async () => void socket.close());
    return socket;
  };
  const healthOf = async (url: string) =>
    (await (await fetch(`${url}/health`)).json()) as { redis: { state: string; outage: unknown } };
  /** What Redis has refused to the user, on all nodes. */
  const refusals = async () => {
    const lines = await Promise.all(cluster.nodes.map((node) => node.command('ACL LOG')));
    return lines.filter((line) => line !== undefined && line !== '*0');
  };

  it('serve two replicas over all shards, while a slot moves and a primary fails over, and refuse nothing', async () => {
    const [one, two] = [await start({ REPLICA_ID: 'one' }), await start({ REPLICA_ID: 'two' })];
    await until(
      async () => (await one.service.io.of('/').adapter.serverCount()) === 2,
      'both replicas are counted',
    );
    const [ann, bob] = [await connect(one.url, 'ann'), await connect(two.url, 'bob')];
    const received = new Map<string, unknown[]>(topics.map((topic) => [topic, []]));
    bob.on('message', ({ topic, payload }: { topic: string; payload: unknown }) =>
      received.get(topic)!.push(payload),
    );
    assert.deepEqual((await emit(bob, 'subscribe', { topics }))['rejected'], []);
    const publishToAll = async (payload: number) => {
      for (const topic of topics)
        await until(
          async () => (await emit(ann, 'publish', { topic, payload, key: `${topic} ${payload}` })).ok,
          'it is stored',
          30_000,
        );
      await until(
        () => topics.every((topic) => received.get(topic)!.at(-1) === payload),
        `all have message ${payload}`,
        20_000,
      );
    };
    await publishToAll(1);

    const moved = topics[0]!;
    const from = await cluster.primaryOf(moved);
    const to = (await cluster.primaries()).find((node) => node !== from)!;
    await cluster.moveSlot(hashSlot(moved), from, to);
    await publishToAll(2);

    const before = new Set(await cluster.primaries());
    await to.signal('SIGKILL');
    await until(
      async () => {
        const after = await cluster.primaries();
        return after.length === 3 && after.some((node) => !before.has(node));
      },
      'a replica is promoted',
      30_000,
    );
    await publishToAll(3);
    for (const topic of topics) assert.deepEqual(received.get(topic), [1, 2, 3], topic);
    assert.equal((await one.service.io.fetchSockets()).length, 2);
    await until(
      async () => {
        const { redis } = await healthOf(two.url);
        return redis.state === 'up' && redis.outage === null;
      },
      'the replica knows that all slots are served again',
      30_000,
    );
    assert.deepEqual(await refusals(), []);
  });

  it('name the reason if the service shows no certificate, or has another password, though a node is down', async () => {
    const dead = await freePort();
    const withDeadNode = (credentials: string) =>
      cluster.urlFor(credentials).replace('@', `@127.0.0.1:${dead},`);
    const outageOf = async (more: NodeJS.ProcessEnv) => {
      const { url } = await start(more);
      let outage: unknown;
      await until(
        async () => {
          ({ outage } = (await healthOf(url)).redis);
          return outage !== null && outage !== 'unreachable';
        },
        'the reason is known',
        30_000,
      );
      return outage;
    };
    assert.equal(
      await outageOf({
        REDIS_URL: withDeadNode('least:password@'),
        RTC_REDIS_TLS_CERT_FILE: undefined,
        RTC_REDIS_TLS_KEY_FILE: undefined,
      }),
      'tls',
    );
    assert.equal(await outageOf({ REDIS_URL: withDeadNode('least:wrong@') }), 'password');
  });
});

/** The line of `rtc redis acl` for some settings. */
function aclLineOf(environment: NodeJS.ProcessEnv): string {
  const lines: string[] = [];
  const write = console.log;
  console.log = (line: string) => void lines.push(line);
  try {
    printAcl(loadSettings(environment), { namespace: ['/'], redisVersion: '7.0' });
  } finally {
    console.log = write;
  }
  return lines[0]!;
}
