import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { freePort } from '../../free-port.js';
import { RedisServer } from './redis-server.js';
import { need } from './wait.js';

const run = promisify(execFile);
const primaryCount = 3;

/** A Redis Cluster of a run: three primaries with a replica each, put together by `redis-cli --cluster create`. */
export class RedisNodes {
  private constructor(readonly nodes: readonly RedisServer[]) {}

  static async start(keepsData: boolean): Promise<RedisNodes> {
    const nodes: RedisServer[] = [];
    try {
      for (let n = 0; n < 2 * primaryCount; n++) {
        const busPort = String(await freePort());
        nodes.push(
          await RedisServer.start(keepsData, [
            ...['--cluster-enabled', 'yes', '--cluster-port', busPort],
            // A replica that lacks much is promoted all the same.
            ...['--cluster-node-timeout', '2000', '--cluster-replica-validity-factor', '0'],
          ]),
        );
      }
      const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
      await run('redis-cli', [
        ...['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes'],
      ]);
      const cluster = new RedisNodes(nodes);
      await need(() => cluster.isWell(), 'the Redis Cluster is well');
      return cluster;
    } catch (error) {
      for (const node of nodes) await node.stop();
      throw error;
    }
  }

  /** As the service takes it: two of the nodes. */
  get url(): string {
    return `redis+cluster://127.0.0.1:${this.nodes[0]!.port},127.0.0.1:${this.nodes[1]!.port}`;
  }

  /** The primaries, each with its replica. */
  async pairs(): Promise<{ primary: RedisServer; replica: RedisServer }[]> {
    const lines = String(await this.nodes[0]!.command('CLUSTER', 'NODES')).split('\n');
    const rows = lines.filter((line) => line !== '').map((line) => line.split(' '));
    const nodeAt = (address: string) =>
      this.nodes.find(({ port }) => address.startsWith(`127.0.0.1:${port}@`))!;
    return rows
      .filter(([, , , master]) => master !== '-')
      .map(([, address, , master]) => ({
        primary: nodeAt(rows.find(([id]) => id === master)![1]!),
        replica: nodeAt(address!),
      }));
  }

  /** Every node that runs says that all slots are served; `except`: one that cannot answer now. */
  async isWell(except?: RedisServer): Promise<boolean> {
    const states = await Promise.all(
      this.nodes
        .filter((node) => node.isRunning && node !== except)
        .map((node) => node.command('CLUSTER', 'INFO').catch(() => '')),
    );
    return states.every((state) => String(state).includes('cluster_state:ok'));
  }

  /** Moves a slot with its keys to another primary. */
  async moveSlot(slot: number, from: RedisServer, to: RedisServer): Promise<void> {
    await this.moveKeys(slot, from, to);
    await this.assign(slot, from, to);
  }

  /** Moves the keys of a slot. The slot stays open until it is assigned. */
  async moveKeys(slot: number, from: RedisServer, to: RedisServer): Promise<void> {
    const [fromId, toId] = [await idOf(from), await idOf(to)];
    const at = String(slot);
    await to.command('CLUSTER', 'SETSLOT', at, 'IMPORTING', fromId);
    await from.command('CLUSTER', 'SETSLOT', at, 'MIGRATING', toId);
    for (;;) {
      const keys = (await from.command('CLUSTER', 'GETKEYSINSLOT', at, '10')) as string[];
      if (keys.length === 0) break;
      await from.command('MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'KEYS', ...keys);
    }
  }

  /** Ends a move. All primaries have to agree before another one ends: Redis itself may lose the slot otherwise. */
  async assign(slot: number, from: RedisServer, to: RedisServer): Promise<void> {
    const toId = await idOf(to);
    for (const node of [to, from]) await node.command('CLUSTER', 'SETSLOT', String(slot), 'NODE', toId);
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.stop();
  }
}

async function idOf(node: RedisServer): Promise<string> {
  return String(await node.command('CLUSTER', 'MYID'));
}
