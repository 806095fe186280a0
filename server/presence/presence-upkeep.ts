import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import type { LocalPresence } from './local-presence.js';
import type { PresenceStore } from './presence-store.js';

interface PresenceUpkeepDependencies {
  readonly store: PresenceStore;
  readonly local: LocalPresence;
  readonly log: Log;
}

/** Topics at work at a time: enough to hide the round trips, few enough to leave Redis to others. */
const topicsAtATime = 16;
/** All topics of a replica are checked in so many turns, which is within a lease, but at most so many at a time. */
const turnsPerRound = 8;
const turnsPerSettle = 12;
const checkedAtATime = 1000;

/** Keeps the store in step with the users of this replica: writes, checks that nothing is lost, restores. */
export class PresenceUpkeep {
  private readonly writing = new Map<string, Promise<void>>();
  private readonly timer: NodeJS.Timeout | undefined;
  private restoring: Promise<void> | undefined;
  private restoreAgain = false;
  private checking = false;
  private unchecked: string[] = [];
  private checkedPerTurn = 0;
  private failing = false;
  private paused = false;
  private closed = false;

  constructor(private readonly dependencies: PresenceUpkeepDependencies) {
    const { settleMs } = dependencies.store;
    if (settleMs === 0) return;
    this.timer = setInterval(() => void this.turn(), settleMs / turnsPerSettle);
    this.timer.unref();
  }

  setPaused(paused: boolean): void {
    this.paused = paused;
  }

  /** Writes what has changed. Never rejects: what fails is tried again later. */
  async writeAll(): Promise<void> {
    await this.each(this.dependencies.local.changed(), (topic) => this.write(topic));
  }

  /** Writes what has changed of a topic, after earlier writes of it. */
  async write(topic: string): Promise<void> {
    for (;;) {
      const earlier = this.writing.get(topic);
      if (earlier === undefined) break;
      await earlier.catch(() => {});
    }
    // Many may have waited for the earlier write: the first of them writes what has changed since.
    if (!this.dependencies.local.hasChanged(topic)) return;
    const write = this.writeNow(topic).finally(() => this.writing.delete(topic));
    this.writing.set(topic, write);
    return write;
  }

  /** Compares what is stored with what is true, and writes the difference. Never rejects. */
  async restore(): Promise<void> {
    if (this.restoring !== undefined) {
      this.restoreAgain = true;
      return this.restoring;
    }
    this.restoring = (async () => {
      do {
        this.restoreAgain = false;
        await this.compareAll();
      } while (this.restoreAgain && !this.closed);
    })().finally(() => (this.restoring = undefined));
    return this.restoring;
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
  }

  private async compareAll(): Promise<void> {
    const { store, local } = this.dependencies;
    try {
      const topics = new Set([...(await store.storedTopics()), ...local.names()]);
      await this.each([...topics], async (topic) => {
        const stored = await store.stored(topic);
        if (this.closed) return;
        local.compare(topic, stored);
        await this.write(topic);
      });
    } catch (error) {
      // The next connection restores again.
      this.dependencies.log.debug('Presence not restored', { error });
    }
  }

  private async turn(): Promise<void> {
    if (this.paused || this.closed) return;
    const { local, log } = this.dependencies;
    if (local.hasChanges) await this.writeAll();
    if (this.checking) return;
    this.checking = true;
    try {
      await this.check();
    } catch (error) {
      log.debug('Presence not checked', { error });
    } finally {
      this.checking = false;
    }
  }

  /** Checks some of the topics, in turns. */
  private async check(): Promise<void> {
    const { local, store } = this.dependencies;
    if (this.unchecked.length === 0) {
      this.unchecked = [...local.names()];
      this.checkedPerTurn = Math.min(checkedAtATime, Math.ceil(this.unchecked.length / turnsPerRound));
    }
    const topics = this.unchecked.splice(0, this.checkedPerTurn);
    const samples = topics.flatMap((topic) => {
      const userId = local.storedUser(topic);
      return userId === undefined ? [] : [{ topic, userId }];
    });
    if (samples.length === 0) return;
    const lost = await store.check(samples);
    if (lost === 'all') return this.restore();
    for (const topic of lost) local.lost(topic);
    if (lost.length > 0) await this.writeAll();
  }

  private async writeNow(topic: string): Promise<void> {
    const { store, local, log } = this.dependencies;
    const taken = local.take(topic);
    if (taken === undefined) return;
    try {
      await store.apply(topic, taken.changes, taken.isLast);
      local.written(topic, taken.changes);
      this.failing = false;
    } catch (error) {
      local.failed(topic, taken.changes);
      // An unreachable Redis is reported elsewhere.
      if (!this.failing && !isUnavailable(error))
        log.warn('Presence cannot be stored; it is tried again twice a second', { topic, error });
      this.failing ||= !isUnavailable(error);
      throw error;
    }
  }

  /** Runs for each topic, a few at a time. While the store is unreachable the rest is left for later. */
  private async each(topics: readonly string[], run: (topic: string) => Promise<void>): Promise<void> {
    let next = 0;
    let unreachable = false;
    const work = async () => {
      while (next < topics.length && !unreachable) {
        try {
          await run(topics[next++]!);
        } catch (error) {
          unreachable ||= isUnavailable(error);
          this.dependencies.log.debug('Presence not written', { error });
        }
      }
    };
    await Promise.all(Array.from({ length: topicsAtATime }, work));
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof RefusalError && error.code === 'unavailable';
}
