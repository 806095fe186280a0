import { listConnections } from '../connections/connection-operations.js';
import { replicaMetrics } from '../cluster/replica-metrics.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { withinBytes } from '../list-page.js';
import { listedSocket } from './listed-socket.js';
import { ServerStatistics } from './server-stats.js';
import { SocketList, type UiEvent } from './socket-list.js';

/** A page of the UI that is signed in. */
export interface UiViewer {
  emit(name: string, ...args: readonly unknown[]): void;
  /** It has not taken what was sent before. */
  isBehind(): boolean;
}

interface UiWatchDependencies {
  readonly cluster: Pick<ClusterOperations, 'ask'>;
  readonly now: () => number;
}

interface UiWatchSettings {
  /** Sockets that are shown. */
  readonly limit: number;
  readonly answerBytes: number;
  /** Pause between two looks. */
  readonly pauseMs: number;
}

/** With more changes the whole list is sent. */
const eventsLimit = 200;

/**
 * Looks at the sockets and figures of all replicas while somebody watches, and tells all viewers of this replica what has changed. Nothing
 * is done while nobody watches, and a look begins when the one before has ended: a Redis or replica that stalls makes looks rare, not many.
 */
export class UiWatch {
  /** Viewers, and whether each has the list that changes apply to. */
  private readonly viewers = new Map<UiViewer, boolean>();
  private list = new SocketList();
  private statistics = new ServerStatistics();
  private isLooking = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly dependencies: UiWatchDependencies,
    private readonly settings: UiWatchSettings,
  ) {}

  get size(): number {
    return this.viewers.size;
  }

  add(viewer: UiViewer): void {
    this.viewers.set(viewer, false);
    void this.look();
  }

  delete(viewer: UiViewer): void {
    this.viewers.delete(viewer);
    if (this.viewers.size === 0) this.forget();
  }

  /** Looks now, for example after an action. While a look is under way, the next one comes after its pause. */
  async look(): Promise<void> {
    if (this.isLooking || this.viewers.size === 0) return;
    clearTimeout(this.timer);
    this.isLooking = true;
    try {
      await this.lookOnce();
    } finally {
      this.isLooking = false;
      if (this.viewers.size > 0)
        this.timer = setTimeout(() => void this.look(), this.settings.pauseMs).unref();
      else this.forget();
    }
  }

  close(): void {
    this.viewers.clear();
    this.forget();
  }

  private async lookOnce(): Promise<void> {
    const { cluster, now } = this.dependencies;
    const { limit, answerBytes } = this.settings;
    const page = { limit, bytes: answerBytes };
    const [connections, metrics] = await Promise.all([
      cluster.ask(listConnections, page),
      cluster.ask(replicaMetrics, null),
    ]);
    // Replicas in turns: one with very many must not hide the others.
    const shown = inTurns(connections.answers.map(({ answer }) => answer.items)).slice(0, limit);
    const items = withinBytes(shown, answerBytes, (item) => item);
    const at = new Date(now()).toISOString();
    const listed = items.map((one) => ({ socket: listedSocket(one), replica: one.replica_id }));
    // The page selects a namespace when a list has one, and not when a first socket comes.
    const wasEmpty = this.list.size === 0;
    const events = this.list.update(listed, connections.unresponsive, limit, at);
    const stats = metrics.answers.map(({ replica, answer }) => {
      const polling = listed.filter(
        (one) => one.replica === replica && one.socket.transport === 'polling',
      ).length;
      return this.statistics.of(answer, polling, now());
    });
    for (const [viewer, isCurrent] of this.viewers) this.tell(viewer, isCurrent && !wasEmpty, events, stats);
  }

  private tell(
    viewer: UiViewer,
    isCurrent: boolean,
    events: readonly UiEvent[],
    stats: readonly object[],
  ): void {
    if (viewer.isBehind()) {
      // What it misses comes as a whole list later.
      this.viewers.set(viewer, false);
      return;
    }
    for (const one of stats) viewer.emit('server_stats', one);
    if (isCurrent && events.length <= eventsLimit) for (const event of events) viewer.emit(...event);
    else viewer.emit('all_sockets', this.list.all());
    this.viewers.set(viewer, true);
  }

  private forget(): void {
    clearTimeout(this.timer);
    this.list = new SocketList();
    this.statistics = new ServerStatistics();
  }
}

/** The first items of all lists, then the second ones, and so on. */
function inTurns<Item>(lists: readonly (readonly Item[])[]): Item[] {
  const items: Item[] = [];
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  for (let i = 0; i < longest; i++) for (const list of lists) if (i < list.length) items.push(list[i]!);
  return items;
}
