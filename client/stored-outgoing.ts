import { ClientError, failed } from './client-error.js';
import { inTime } from './in-time.js';
import {
  Outgoing,
  type Kept,
  type OutgoingDependencies,
  type OutgoingOptions,
  type WaitingItem,
} from './outgoing.js';
import type { OutgoingStore } from './outgoing-store.js';

type Work = 'load' | 'put' | 'sending' | 'remove';
type Answer<Name extends Work> = Awaited<ReturnType<OutgoingStore[Name]>>;

/** A store that does not answer within this time, in milliseconds, has failed: messages do not wait for it. */
const storeMs = 5000;

/** The outgoing queue in a store, which a later page, or another one that is open, goes on with. */
export class StoredOutgoing extends Outgoing {
  private loaded: Promise<void> | undefined;
  /** What the store did not do when it was last asked for it. */
  private readonly failing = new Set<Work>();
  private stopWatching: (() => void) | undefined;

  constructor(
    dependencies: OutgoingDependencies,
    options: OutgoingOptions,
    private readonly store: OutgoingStore,
  ) {
    super(dependencies, options);
  }

  /** First is sent what an earlier page has left. */
  override connected(): void {
    if (this.isClosed) return;
    this.watch();
    this.loaded ??= this.load();
    void this.loaded.then(() => super.connected());
  }

  /** The store keeps what waits. */
  override close(): void {
    this.stopWatching?.();
    super.close();
  }

  protected override added(item: WaitingItem): void {
    this.watch();
    const kept: Kept = (item.kept = { isStoring: true, isStored: false });
    const { command, body } = item;
    void this.use('put', { command, body }).then((stored) => {
      kept.isStored = !!stored;
      kept.isStoring = false;
      this.pump();
    });
  }

  protected override isReady(item: WaitingItem): boolean {
    const { kept } = item;
    if (kept?.isStoring) return false;
    if (!kept?.isStored || item.sentAt !== undefined) return true;
    // Before it is sent, so that a later page knows that it may have been.
    void this.mark(item, kept);
    return false;
  }

  protected override end(item: WaitingItem): WaitingItem {
    void this.use('remove', item.body.key);
    return super.end(item);
  }

  /** Other pages know then that this one is there, and leave its items to it. */
  private watch(): void {
    this.stopWatching ??= this.store.watch?.(() => {
      if (!this.isClosed) void this.load().then(() => this.pump());
    });
  }

  /** What was left goes before what this page has published. */
  private async load(): Promise<void> {
    const left = await this.use('load');
    if (!left) {
      // With the next connection, once more.
      this.loaded = undefined;
      return;
    }
    const own = [...this.items];
    this.items.clear();
    for (const item of left.answer) {
      if (this.isClosed || own.some(([key]) => key === item.body.key)) continue;
      const waiting = this.wait(
        item,
        () => {},
        (error) => {
          if (error.code === 'unknown')
            this.dependencies.onUnknown({ command: item.command, body: item.body, sentAt: item.sentAt });
          else if (error.code !== 'closed') this.dependencies.onError(error);
        },
      );
      waiting.kept = { isLeft: true, isStoring: false, isStored: true };
    }
    for (const [key, item] of own) this.items.set(key, item);
  }

  /** Notes in the store that an item is sent now. Another page may have sent it already. */
  private async mark(item: WaitingItem, kept: Kept): Promise<void> {
    kept.isStoring = true;
    const now = this.dependencies.clock.wallTime();
    const marked = await this.use('sending', item.body.key, now);
    item.sentAt = marked ? marked.answer : now;
    kept.isStoring = false;
    if (this.items.has(item.body.key)) {
      // A later page would take it for one that was never sent, and send it again, however late.
      if (!marked) void this.use('remove', item.body.key);
      else if (item.sentAt === undefined) {
        this.end(item);
        if (!kept.isLeft)
          item.reject(new ClientError('unknown', 'another page has sent it', { field: 'key' }));
      }
    }
    this.pump();
  }

  /**
   * Undefined if the store has failed: one of an app may throw, or give no promise. A full one fails with each message, which is
   * reported once.
   */
  private async use<Name extends Work>(
    name: Name,
    ...given: Parameters<OutgoingStore[Name]>
  ): Promise<{ readonly answer: Answer<Name> } | undefined> {
    const { failing, dependencies } = this;
    const store = this.store as unknown as Record<Name, (...its: unknown[]) => Answer<Name>>;
    try {
      const answer = await inTime(dependencies.clock, storeMs, store[name](...given));
      failing.delete(name);
      return { answer };
    } catch (cause) {
      if (!failing.has(name)) dependencies.onError(failed('store_failed', 'messages are not kept', cause));
      failing.add(name);
      return undefined;
    }
  }
}
