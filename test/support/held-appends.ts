import type { AppendEntry, AppendReceipt, Broker } from '../../server/log/broker.js';

let made = 0;

/** An entry with a new id. */
export function newEntry(bytes = 10): AppendEntry {
  return { id: `id-${++made}`, entry: Buffer.alloc(bytes) };
}

/**
 * A log whose appends are answered when the test says so. It fails a test that appends during an append in
 * progress.
 */
export class HeldAppends {
  /** All appended batches, including failed ones. */
  readonly batches: (readonly AppendEntry[])[] = [];
  /** The entries in the log. */
  readonly stored: AppendEntry[] = [];
  answersAtOnce = false;
  private held: { resolve: (receipts: AppendReceipt[]) => void; reject: (error: Error) => void } | undefined;

  get broker(): Broker {
    return { append: (_topic: string, entries: readonly AppendEntry[]) => this.append(entries) } as Broker;
  }

  get inFlight(): boolean {
    return this.held !== undefined;
  }

  succeed(): void {
    const { resolve } = this.take();
    resolve(this.store(this.batches.at(-1)!));
  }

  fail(error: Error): void {
    this.take().reject(error);
  }

  private append(entries: readonly AppendEntry[]): Promise<AppendReceipt[]> {
    if (this.held !== undefined) throw new Error('two appends of one topic in flight');
    this.batches.push(entries);
    if (this.answersAtOnce) return Promise.resolve(this.store(entries));
    return new Promise((resolve, reject) => (this.held = { resolve, reject }));
  }

  private store(entries: readonly AppendEntry[]): AppendReceipt[] {
    return entries.map((item) => ({
      id: item.id,
      epoch: 'e',
      sequence: this.stored.push(item),
      duplicate: false,
      durability: 'stored',
    }));
  }

  private take(): NonNullable<HeldAppends['held']> {
    const { held } = this;
    if (held === undefined) throw new Error('no append is in flight');
    this.held = undefined;
    return held;
  }
}
