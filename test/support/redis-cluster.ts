import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { hashSlot } from '../../server/storage/redis/cluster/hash-slot.js';
import { readClusterNodes, type ClusterNode } from '../../server/storage/redis/cluster/cluster-view.js';
import { TestRedis, testCredentials } from './redis.js';
import { freePort, until } from './wait.js';

const run = promisify(execFile);

/** After this a node counts as failed, and its replica is elected. */
const nodeTimeoutMs = 1000;

interface ClusterShape {
  readonly primaries: number;
  /** Replicas of each primary. */
  readonly replicas: number;
  /** Files for TLS: clients and nodes have to show a certificate. The tests themselves use the port without TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** A Redis Cluster for one test: real processes on free ports, put together by `redis-cli --cluster create`. */
export class TestRedisCluster {
  private constructor(
    readonly nodes: readonly TestRedis[],
    /** The ports with TLS, by node. */
    private readonly tlsPorts: ReadonlyMap<TestRedis, number>,
  ) {}

  static async start(
    { primaries, replicas, tls }: ClusterShape = { primaries: 3, replicas: 0 },
  ): Promise<TestRedisCluster> {
    const nodes: TestRedis[] = [];
    const tlsPorts = new Map<TestRedis, number>();
    try {
      for (let n = 0; n < primaries * (1 + replicas); n++) {
        const tlsPort = await freePort();
        const node = await startNode(tls === undefined ? [] : tlsOptions(tls, tlsPort));
        nodes.push(node);
        if (tls !== undefined) tlsPorts.set(node, tlsPort);
      }
      await redisCli(
        '--cluster',
        'create',
        ...nodes.map(({ port }) => `127.0.0.1:${port}`),
        '--cluster-replicas',
        String(replicas),
        '--cluster-yes',
      );
      const cluster = new TestRedisCluster(nodes, tlsPorts);
      await cluster.whenWell(primaries, replicas);
      return cluster;
    } catch (error) {
      await Promise.all(nodes.map((node) => node.stop()));
      throw error;
    }
  }

  /** As the service takes it; one node is enough. */
  get url(): string {
    return this.urlFor(testCredentials);
  }

  /** The same for a user: `name:password@`. */
  urlFor(credentials: string): string {
    const scheme = this.tlsPorts.size === 0 ? 'redis' : 'rediss';
    const hosts = [this.nodes[0]!, this.nodes.at(-1)!].map((node) => `127.0.0.1:${this.portOf(node)}`);
    return `${scheme}+cluster://${credentials}${hosts.join()}`;
  }

  /** The node that has the slot of a key now. */
  async primaryOf(key: string): Promise<TestRedis> {
    const slot = hashSlot(key);
    const view = await this.view();
    const owner = view.find(
      ({ isPrimary, isAbsent, slots }) =>
        isPrimary && !isAbsent && slots.some(([first, last]) => slot >= first && slot <= last),
    );
    return this.nodeAt(owner!.port);
  }

  /** The primaries with slots. */
  async primaries(): Promise<TestRedis[]> {
    const view = await this.view();
    return view
      .filter(({ isPrimary, isAbsent, slots }) => isPrimary && !isAbsent && slots.length > 0)
      .map(({ port }) => this.nodeAt(port));
  }

  /** Moves a slot with its keys, as `redis-cli --cluster reshard` does. */
  async moveSlot(
    slot: number,
    from: TestRedis,
    to: TestRedis,
    duringMove: () => Promise<void> = async () => {},
  ): Promise<void> {
    const [fromId, toId] = [await myId(from), await myId(to)];
    await redisCli('-p', String(to.port), 'CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', fromId);
    await redisCli('-p', String(from.port), 'CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', toId);
    await duringMove();
    for (;;) {
      const keys = (await redisCli('-p', String(from.port), 'CLUSTER', 'GETKEYSINSLOT', String(slot), '10'))
        .split('\n')
        .filter((key) => key !== '');
      if (keys.length === 0) break;
      await redisCli(
        '-p',
        String(from.port),
        'MIGRATE',
        '127.0.0.1',
        String(this.portOf(to)),
        '',
        '0',
        '5000',
        'KEYS',
        ...keys,
      );
    }
    for (const node of [to, from])
      await redisCli('-p', String(node.port), 'CLUSTER', 'SETSLOT', String(slot), 'NODE', toId);
  }

  async flush(): Promise<void> {
    for (const node of await this.primaries()) await node.command('FLUSHALL');
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  /** What the first node that answers says of all. */
  async view(): Promise<readonly ClusterNode[]> {
    for (const { port } of this.nodes) {
      try {
        return readClusterNodes(await redisCli('-p', String(port), 'CLUSTER', 'NODES'), '127.0.0.1');
      } catch {
        // It has been killed.
      }
    }
    throw new Error('no node answers');
  }

  /** The port of a node for those who use TLS, if the cluster does. */
  private portOf(node: TestRedis): number {
    return this.tlsPorts.get(node) ?? node.port;
  }

  private nodeAt(port: number): TestRedis {
    return this.nodes.find((node) => node.port === port)!;
  }

  private async whenWell(primaries: number, replicas: number): Promise<void> {
    await until(
      async () => {
        const states = await Promise.all(
          this.nodes.map(({ port }) => redisCli('-p', String(port), 'CLUSTER', 'INFO')),
        );
        const infos = await Promise.all(this.nodes.map((node) => node.info('replication')));
        const following = infos.filter((info) => info.get('master_link_status') === 'up');
        return (
          states.every((state) => state.includes('cluster_state:ok')) &&
          following.length === primaries * replicas
        );
      },
      'the Redis Cluster is well',
      30_000,
    );
  }
}

function tlsOptions({ cert, key }: { cert: string; key: string }, port: number): string[] {
  const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert];
  return ['--tls-port', String(port), ...files, '--tls-cluster', 'yes', '--tls-replication', 'yes'];
}

async function startNode(more: readonly string[]): Promise<TestRedis> {
  return TestRedis.start('none', [
    '--cluster-enabled',
    'yes',
    '--cluster-port',
    String(await freePort()),
    '--cluster-node-timeout',
    String(nodeTimeoutMs),
    '--cluster-replica-validity-factor',
    '0',
    '--repl-diskless-sync-delay',
    '0',
    ...more,
  ]);
}

async function myId(node: TestRedis): Promise<string> {
  return (await redisCli('-p', String(node.port), 'CLUSTER', 'MYID')).trim();
}

async function redisCli(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('redis-cli', args);
  if (/^(?:ERR|MOVED|ASK|CLUSTERDOWN|IOERR)\b/.test(stdout))
    throw new Error(`redis-cli ${args.join(' ')}: ${stdout}`);
  return stdout;
}
