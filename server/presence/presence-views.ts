import type { Log } from '../logging/log.js';
import type { PresenceStore, PresenceTransition } from './presence-store.js';

interface PresenceViewsDependencies {
  readonly store: Pick<PresenceStore, 'read' | 'settleMs'>;
  readonly log: Log;
  /** Sends a `presence` event to the connections of this replica that watch the topic. */
  readonly notify: (topic: string, event: object) => void;
  /** A user of this replica who is stored; undefined if there is none, or it is uncertain. */
  readonly storedUser: (topic: string) => string | undefined;
}

/** Users of a watched topic, as its watchers were notified. */
interface View {
  readonly users: Set<string>;
  /** Users in answers to clients around the first read: they may have left before it. */
  readonly answered: Set<string>;
  /** Undefined until the users were read once. */
  loadedAt: number | undefined;
  /** Messages may be lost since the first watcher came. */
  isUncertain: boolean;
  /** When a transition last showed that the store has lost something: not all of it may be stored again. */
  lostAt: number;
  /** Users of transitions that came during a read: they are newer than the read. */
  readonly touched: Set<string>;
  reading: boolean;
  /** Of the next comparison. */
  timer: NodeJS.Timeout | undefined;
  /** Another comparison is needed after that. */
  compareAgain: boolean;
  /** Of the removal, while there are no watchers. */
  expiry: NodeJS.Timeout | undefined;
}

/** So long after a view was read there may be messages on their way that are older. In settle times. */
const overlapTimes = 2;
/** After a loss, all replicas have stored their users again. In settle times: each looks at all its topics in less. */
const restoredTimes = 0.7;
/** A view stays for so long without watchers, so that watching again is cheap. In milliseconds. */
const keptMs = 60_000;
/** Users of one call of a read. */
const pageUsers = 500;

/**
 * What the watchers of topics on this replica know. Messages about transitions may get lost, with a connection to
 * Redis or in a Redis that loses data: then the view is compared with the store, and the watchers receive the
 * difference.
 */
export class PresenceViews {
  private readonly views = new Map<string, View>();
  private closed = false;

  constructor(private readonly dependencies: PresenceViewsDependencies) {}

  topics(): Iterable<string> {
    return this.views.keys();
  }

  /** A topic has its first watcher on this replica. */
  watched(topic: string): void {
    if (this.dependencies.store.settleMs === 0 || this.closed) return;
    const view = this.views.get(topic);
    if (view !== undefined) {
      clearTimeout(view.expiry);
      return;
    }
    this.views.set(topic, {
      users: new Set(),
      answered: new Set(),
      loadedAt: undefined,
      isUncertain: false,
      lostAt: -Infinity,
      touched: new Set(),
      reading: false,
      timer: undefined,
      compareAgain: false,
      expiry: undefined,
    });
    void this.compare(topic);
  }

  /** A topic has no watcher on this replica any more. */
  unwatched(topic: string): void {
    const view = this.views.get(topic);
    if (view === undefined) return;
    clearTimeout(view.expiry);
    view.expiry = setTimeout(() => {
      clearTimeout(view.timer);
      this.views.delete(topic);
    }, keptMs);
    view.expiry.unref();
  }

  /** Receives transitions in the order of the store. */
  receive(topic: string, transitions: readonly PresenceTransition[]): void {
    const view = this.views.get(topic);
    const isSettled = view !== undefined && this.isSettled(view);
    for (const transition of transitions) {
      // Always, because a client may have asked for the users while the store had lost this one.
      this.notify(topic, transition);
      const isNews = view === undefined || this.apply(view, transition);
      // Something was lost: a user joins who was never seen to leave, or the other way round.
      if (isNews || !isSettled) continue;
      view.lostAt = performance.now();
      this.compareLater(topic);
    }
  }

  /** A client was answered with users of a topic: a watcher may know them before the view does. */
  answered(topic: string, userIds: Iterable<string>): void {
    const view = this.views.get(topic);
    if (view !== undefined && !this.isSettled(view)) for (const userId of userIds) view.answered.add(userId);
  }

  /** Messages may be lost: compares every view as soon as the replicas have stored again what is true. */
  compareAllLater(): void {
    for (const [topic, view] of this.views) {
      view.isUncertain = true;
      this.compareLater(topic);
    }
  }

  close(): void {
    this.closed = true;
    for (const { timer, expiry } of this.views.values()) {
      clearTimeout(timer);
      clearTimeout(expiry);
    }
    this.views.clear();
  }

  private compareLater(topic: string): void {
    const view = this.views.get(topic);
    if (view === undefined || this.closed) return;
    if (view.timer !== undefined) {
      // That comparison may come before the replicas have stored everything again.
      view.compareAgain = true;
      return;
    }
    view.timer = setTimeout(() => {
      view.timer = undefined;
      void this.compare(topic);
      if (view.compareAgain) this.compareLater(topic);
      view.compareAgain = false;
    }, this.dependencies.store.settleMs);
    view.timer.unref();
  }

  /** Reads the users, and notifies of what the view had not; the first time it only fills the view. */
  private async compare(topic: string): Promise<void> {
    const view = this.views.get(topic);
    if (view === undefined) return;
    if (view.reading) return this.compareLater(topic);
    view.reading = true;
    view.touched.clear();
    try {
      const own = this.dependencies.storedUser(topic);
      const found = await this.read(topic);
      if (this.views.get(topic) !== view) return;
      // Its users have not left. They are stored again, by each replica its own.
      if (own !== undefined && !found.has(own) && this.dependencies.storedUser(topic) === own)
        throw new Error('the store has lost the topic');
      const isRestored = performance.now() - view.lostAt > restoredTimes * this.dependencies.store.settleMs;
      const isFirst = view.loadedAt === undefined && !view.isUncertain;
      view.loadedAt ??= performance.now();
      const notify = (transition: PresenceTransition) => {
        if (view.touched.has(transition.userId)) return;
        const isNews = this.apply(view, transition) || view.answered.has(transition.userId);
        if (isNews && (!isFirst || transition.event === 'leave')) this.notify(topic, transition);
      };
      for (const userId of isRestored ? new Set([...view.users, ...view.answered]) : [])
        if (!found.has(userId)) notify({ userId, event: 'leave', connections: 0 });
      if (isRestored) view.answered.clear();
      else this.compareLater(topic);
      for (const [userId, connections] of found) notify({ userId, event: 'join', connections });
    } catch (error) {
      this.dependencies.log.debug('Users of a watched topic not read', { topic, error });
      view.isUncertain = true;
      this.compareLater(topic);
    } finally {
      view.reading = false;
    }
  }

  private async read(topic: string): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    let cursor: string | undefined;
    do {
      const page = { limit: pageUsers, bytes: Infinity, ...(cursor !== undefined && { cursor }) };
      const { counts, next } = await this.dependencies.store.read(topic, page);
      for (const [userId, connections] of counts) found.set(userId, connections);
      cursor = next;
    } while (cursor !== undefined);
    return found;
  }

  private isSettled({ loadedAt }: View): boolean {
    return (
      loadedAt !== undefined && performance.now() - loadedAt > overlapTimes * this.dependencies.store.settleMs
    );
  }

  /** Applies a transition. False if the view has it already. */
  private apply(view: View, { userId, event }: PresenceTransition): boolean {
    if (view.reading) view.touched.add(userId);
    if (event === 'leave') return view.users.delete(userId);
    if (view.users.has(userId)) return false;
    view.users.add(userId);
    return true;
  }

  private notify(topic: string, { userId, event, connections }: PresenceTransition): void {
    this.dependencies.notify(topic, { topic, event, user_id: userId, connections });
  }
}
