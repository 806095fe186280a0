import type { Broker, LogSize } from '../log/broker.js';
import { Quantiles } from '../metrics/quantiles.js';
import type { Clock, Timer } from '../primitives/clock.js';
import { inboxOf } from './inbox-name.js';

/** An inbox in which messages wait. */
export interface InboxSize {
  readonly userId: string;
  readonly messages: number;
  readonly bytes: number;
}

interface InboxSizesDependencies {
  readonly broker: Pick<Broker, 'sizes'>;
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimer'>;
}

interface InboxSizesSettings {
  /** The limits of an inbox. */
  readonly messages: number;
  readonly bytes: number;
  /** Inboxes that are remembered. */
  readonly names: number;
  /** Those are looked at this often. */
  readonly everyMs: number;
}

/**
 * How large inboxes are, of those into which this replica puts messages. Each append says how much its inbox holds, so nothing
 * is counted twice and no inbox is read. The fullest are remembered, and looked at again from time to time: their owners read
 * them on other replicas.
 */
export class InboxSizes {
  private readonly seen = new Quantiles();
  private readonly known = new Map<string, InboxSize>();
  private timer: Timer | undefined;
  private closed = false;

  constructor(
    private readonly dependencies: InboxSizesDependencies,
    private readonly settings: InboxSizesSettings,
  ) {}

  /** A message was put into an inbox, which holds this much now. */
  added(userId: string, { messages, bytes = 0 }: LogSize): void {
    this.seen.observe(messages);
    const size = { userId, messages, bytes };
    if (!this.known.has(userId) && this.known.size >= this.settings.names) {
      const least = this.least();
      if (filled(least, this.settings) >= filled(size, this.settings)) return;
      this.known.delete(least.userId);
    }
    this.known.set(userId, size);
    this.lookLater();
  }

  /** Messages in inboxes right after one was added, in the last one to two minutes; and their number since the start. */
  summary(): { readonly p50: number; readonly p95: number; readonly p99: number; readonly count: number } {
    const { p50, p95, p99, count } = this.seen.summary();
    // Upper bounds of whole numbers.
    return { p50: Math.floor(p50), p95: Math.floor(p95), p99: Math.floor(p99), count };
  }

  /** The fullest first. */
  fullest(limit: number): (InboxSize & { readonly filledPercent: number })[] {
    return [...this.known.values()]
      .map((size) => ({ ...size, filledPercent: filledPercent(size, this.settings) }))
      .sort((one, other) => other.filledPercent - one.filledPercent || other.messages - one.messages)
      .slice(0, limit);
  }

  close(): void {
    this.closed = true;
    this.dependencies.clock.clearTimer(this.timer);
  }

  private least(): InboxSize {
    let least: InboxSize | undefined;
    let part = Infinity;
    // For each message to an inbox that is not known: so nothing is rounded or copied.
    for (const size of this.known.values()) {
      const its = filled(size, this.settings);
      if (its >= part) continue;
      part = its;
      least = size;
    }
    return least!;
  }

  private lookLater(): void {
    if (this.timer !== undefined || this.closed) return;
    this.timer = this.dependencies.clock.setTimeout(() => void this.look(), this.settings.everyMs);
    this.timer.unref();
  }

  private async look(): Promise<void> {
    const before = [...this.known.values()];
    try {
      const sizes = await this.dependencies.broker.sizes(before.map(({ userId }) => inboxOf(userId)));
      before.forEach((size, i) => {
        const { messages, bytes = size.bytes } = sizes[i]!;
        // What was added meanwhile is newer.
        if (this.known.get(size.userId) !== size) return;
        if (messages === 0) this.known.delete(size.userId);
        else this.known.set(size.userId, { userId: size.userId, messages, bytes });
      });
    } catch {
      // The store is unavailable: they are looked at next time.
    } finally {
      this.timer = undefined;
      if (this.known.size > 0) this.lookLater();
    }
  }
}

type Limits = Pick<InboxSizesSettings, 'messages' | 'bytes'>;

/** By messages or bytes, whichever is nearer to its limit. */
export function filledPercent(size: Pick<InboxSize, 'messages' | 'bytes'>, limits: Limits): number {
  return Number((filled(size, limits) * 100).toFixed(1));
}

/** The same as a part of 1, not rounded. */
function filled({ messages, bytes }: Pick<InboxSize, 'messages' | 'bytes'>, limits: Limits): number {
  return Math.max(messages / limits.messages, bytes / limits.bytes);
}
