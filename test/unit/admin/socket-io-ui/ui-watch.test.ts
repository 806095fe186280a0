import assert from 'node:assert/strict';
import type { ClusterOperations } from '../../../../server/admin/cluster-operations.js';
import type { ListRequest } from '../../../../server/admin/list-page.js';
import { UiWatch, type UiViewer } from '../../../../server/admin/socket-io-ui/ui-watch.js';
import { until } from '../../../support/wait.js';

/** Connections by replica, as two replicas list them; a replica that is stalled does not answer. */
class FakeCluster {
  asked = 0;
  readonly limits: (number | undefined)[] = [];
  readonly silent = new Set<string>();
  /** While it is set, no answer comes. */
  held: Promise<void> | undefined;

  constructor(readonly connections: Map<string, Map<string, string[]>>) {}

  readonly ask = (async ({ name }: { name: string }, asked: ListRequest | null) => {
    await this.held;
    const unresponsive = [...this.silent];
    const replicas = [...this.connections].filter(([replica]) => !this.silent.has(replica));
    if (name === 'metrics')
      return {
        unresponsive,
        answers: replicas.map(([replica, connections]) => ({
          replica,
          answer: {
            replica_id: replica,
            uptime_secs: 1,
            connections: { total: connections.size, connects: 0, disconnects: 0 },
            messages: { published: 0, delivered: 0 },
          },
        })),
      };
    this.asked++;
    this.limits.push(asked?.limit);
    return {
      unresponsive,
      answers: replicas.map(([replica, connections]) => ({
        replica,
        answer: {
          total: connections.size,
          more: false,
          items: [...connections].slice(0, asked!.limit).map(([id, topics]) => ({
            connection_id: id,
            user_id: id,
            roles: [],
            address: '::1',
            replica_id: replica,
            connected_at: 0,
            wire: 'socketio',
            topics: Object.fromEntries(topics.map((topic) => [topic, { epoch: 'e', sequence: 1 }])),
          })),
        },
      })),
    };
  }) as unknown as ClusterOperations['ask'];
}

class FakeViewer implements UiViewer {
  readonly events: [name: string, ...args: unknown[]][] = [];
  isSlow = false;
  readonly emit = (name: string, ...args: readonly unknown[]) => void this.events.push([name, ...args]);
  readonly isBehind = () => this.isSlow;

  /** Names of the events since the last call, without figures. */
  take(): string[] {
    return this.events.splice(0).flatMap(([name, first, second]) => {
      if (name === 'server_stats') return [];
      if (name === 'all_sockets') return [`all ${(first as { id: string }[]).map(({ id }) => id).join()}`];
      return [`${name} ${typeof first === 'object' ? (first as { id: string }).id : String(second)}`];
    });
  }
}

describe('[PAGES] the watch of the Socket.IO Admin UI', () => {
  const newWatch = (cluster: FakeCluster, limit = 100) =>
    new UiWatch({ cluster, now: () => 1000 }, { limit, answerBytes: 100_000, pauseMs: 60_000 });
  const newCluster = () =>
    new FakeCluster(
      new Map([
        ['a', new Map([['ann', ['news']]])],
        ['b', new Map([['bob', [] as string[]]])],
      ]),
    );
  let watch: UiWatch;
  afterEach(() => watch.close());

  it('sends the whole list first, then what has changed', async () => {
    const cluster = newCluster();
    watch = newWatch(cluster);
    const viewer = new FakeViewer();
    watch.add(viewer);
    await until(() => viewer.events.length > 0, 'the list');
    assert.deepEqual(viewer.take(), ['all ann,bob']);
    cluster.connections.get('a')!.set('ann', ['sport']);
    cluster.connections.get('b')!.delete('bob');
    cluster.connections.get('b')!.set('eve', []);
    await watch.look();
    assert.deepEqual(viewer.take(), [
      'room_joined sport',
      'room_left news',
      'socket_connected eve',
      'socket_disconnected bob',
    ]);
    await watch.look();
    assert.deepEqual(viewer.take(), []);
  });

  it('keeps the sockets of a replica that does not answer', async () => {
    const cluster = newCluster();
    watch = newWatch(cluster);
    const viewer = new FakeViewer();
    watch.add(viewer);
    await until(() => viewer.events.length > 0, 'the list');
    viewer.take();
    cluster.silent.add('b');
    await watch.look();
    assert.deepEqual(viewer.take(), []);
    cluster.silent.clear();
    cluster.connections.get('b')!.clear();
    await watch.look();
    assert.deepEqual(viewer.take(), ['socket_disconnected bob']);
  });

  it('sends nothing to a viewer that does not read, and later the whole list', async () => {
    const cluster = newCluster();
    watch = newWatch(cluster);
    const viewer = new FakeViewer();
    watch.add(viewer);
    await until(() => viewer.events.length > 0, 'the list');
    viewer.take();
    viewer.isSlow = true;
    cluster.connections.get('b')!.set('eve', []);
    await watch.look();
    assert.deepEqual(viewer.events, []);
    viewer.isSlow = false;
    await watch.look();
    assert.deepEqual(viewer.take(), ['all ann,bob,eve']);
  });

  it('looks for all viewers at once, never twice at a time, and not at all without viewers', async () => {
    const cluster = newCluster();
    watch = newWatch(cluster);
    let release = () => {};
    cluster.held = new Promise((resolve) => (release = resolve));
    const viewers = Array.from({ length: 10 }, () => new FakeViewer());
    for (const viewer of viewers) watch.add(viewer);
    for (let n = 0; n < 10; n++) void watch.look();
    release();
    await until(() => viewers.every(({ events }) => events.length > 0), 'all have the list');
    assert.equal(cluster.asked, 1);
    for (const viewer of viewers) watch.delete(viewer);
    assert.equal(watch.size, 0);
    await watch.look();
    assert.equal(cluster.asked, 1);
  });

  it('shows a bounded number of sockets, of each replica', async () => {
    const cluster = newCluster();
    for (let n = 0; n < 500; n++) cluster.connections.get('a')!.set(`user-${n}`, []);
    watch = newWatch(cluster, 50);
    const viewer = new FakeViewer();
    watch.add(viewer);
    await until(() => viewer.events.length > 0, 'the list');
    const [, sockets] = viewer.events.find(([name]) => name === 'all_sockets')!;
    const ids = (sockets as { id: string }[]).map(({ id }) => id);
    assert.equal(ids.length, 50);
    assert.ok(ids.includes('bob'));
    assert.deepEqual(cluster.limits, [50]);
  });
});
