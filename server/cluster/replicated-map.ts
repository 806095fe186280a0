import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import type { Bus } from './bus.js';
import type { SharedStore, TimestampedEntry, TimestampedFields } from './shared-store.js';

interface ReplicatedMapDependencies {
  readonly store: SharedStore;
  readonly bus: Bus;
  readonly log: Log;
  /** The clock by which tombstones expire; default `Date.now`. */
  readonly now?: () => number;
}

interface ReplicatedMapSettings {
  /** Key in the store and kind on the bus. */
  readonly name: string;
  /** The version in the store is compared this often, in case a message was lost; in milliseconds. */
  readonly checkMs: number;
}

/** Called for each field whose value has changed, here or on another replica; `undefined`: it was removed. */
type FieldListener = (field: string, value: string | undefined) => void;

/** Tombstones are kept for this long, in milliseconds. */
const tombstoneKeptMs = 86_400_000;
const forgetEveryMs = 600_000;

/**
 * A map of text that every replica holds in memory, so reading it costs nothing. A change is written to the
 * store and broadcast to all replicas. A replica that misses the broadcast finds the change within `checkMs`.
 *
 * The last write of a field wins, by the clock of the store: each value has the timestamp of its write, and a
 * removal leaves a tombstone with a timestamp for a day. So the map survives restarts of replicas. It also
 * survives a store that comes back empty or in an older state: a replica restores every field that the store
 * lacks, or has with a smaller timestamp, and does not mistake a removal for a loss. Only a replica that has
 * not reached the store for more than that day may restore a field that was removed in the meantime.
 */
export class ReplicatedMap {
  private readonly values = new Map<string, string>();
  /** The timestamps of all fields; a field without a value is a tombstone. */
  private readonly timestamps = new Map<string, number>();
  /**
   * The version at which the store was last known to hold everything that this replica holds; `undefined`:
   * not known.
   */
  private synced: { readonly version: string | undefined } | undefined;
  private hasRead = false;
  private lossLogged = false;
  private forgottenAt = 0;
  private readonly listeners: FieldListener[] = [];
  private readonly timer: NodeJS.Timeout;
  private reading: Promise<void> | undefined;
  /** The read after the one in progress, for all who have asked meanwhile. */
  private following: Promise<void> | undefined;

  constructor(
    private readonly dependencies: ReplicatedMapDependencies,
    private readonly settings: ReplicatedMapSettings,
  ) {
    dependencies.bus.on(`map:${settings.name}`, () => void this.read());
    this.timer = setInterval(() => void this.check(), settings.checkMs);
    this.timer.unref();
  }

  /** Whether the map was read once. */
  get isKnown(): boolean {
    return this.hasRead;
  }

  /**
   * For decisions that need the content of the map; `what` names the unknown in the error message. @throws
   * RefusalError `unavailable` until the map was read once
   */
  checkKnown(what: string): void {
    if (this.hasRead) return;
    throw new RefusalError(
      'unavailable',
      `Redis has not been read since the start: it is not known ${what}`,
      {
        retryAfterMs: 1000,
      },
    );
  }

  get size(): number {
    return this.values.size;
  }

  get(field: string): string | undefined {
    return this.values.get(field);
  }

  entries(): Iterable<[field: string, value: string]> {
    return this.values.entries();
  }

  onChange(listener: FieldListener): void {
    this.listeners.push(listener);
  }

  /**
   * Writes fields to the store, then applies them here.
   *
   * @throws RefusalError `unavailable`: nothing is changed; `outcome_unknown`: the change may be made, and
   * then reaches all replicas
   */
  async set(fields: Readonly<Record<string, string | undefined>>): Promise<void> {
    const { store, bus } = this.dependencies;
    const { name } = this.settings;
    // The store may have lost fields, and may have another clock now. The new value must win nevertheless.
    let above = 0;
    for (const field of Object.keys(fields)) above = Math.max(above, this.timestamps.get(field) ?? 0);
    const timestamp = await store.writeFields(name, fields, above);
    this.synced = undefined;
    for (const [field, value] of Object.entries(fields)) this.apply({ field, timestamp, value });
    // A read in progress may have started before this change.
    if (this.reading !== undefined) void this.read();
    bus.broadcast(`map:${name}`, null);
  }

  /** Reads the map from the store. Never rejects: after a failure the next check reads again. */
  read(): Promise<void> {
    if (this.reading === undefined) return this.beginRead();
    // A read in progress may miss a change that arrives meanwhile. Of many changes, one more read finds all.
    this.following ??= this.reading.then(() => {
      this.following = undefined;
      return this.reading ?? this.beginRead();
    });
    return this.following;
  }

  close(): void {
    clearInterval(this.timer);
  }

  private beginRead(): Promise<void> {
    this.reading = this.readStore().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }

  private async check(): Promise<void> {
    const { store } = this.dependencies;
    try {
      const version = await store.fieldsVersion(this.settings.name);
      // The next check sees the result of the read in progress.
      if (this.reading !== undefined) return;
      if (this.synced === undefined || this.synced.version !== version) await this.read();
      await this.forget();
    } catch {
      // Redis is unreachable: the known values stay in force.
    }
  }

  private async readStore(): Promise<void> {
    const { store, log } = this.dependencies;
    const { name } = this.settings;
    this.synced = undefined;
    for (const { field } of this.expired()) this.timestamps.delete(field);
    const held = new Map(this.timestamps);
    let found: TimestampedFields;
    try {
      found = await store.readFields(name);
    } catch (error) {
      log.debug('Shared settings not read', { name, error });
      return;
    }
    this.hasRead = true;
    for (const [field, timestamped] of found.fields) this.apply({ field, ...timestamped });
    const lost = this.unchanged(held).filter(
      ({ field, timestamp }) => (found.fields.get(field)?.timestamp ?? -1) < timestamp,
    );
    if (lost.length > 0) {
      await this.restore(lost);
      return;
    }
    this.synced = { version: found.version };
    this.lossLogged = false;
  }

  /**
   * The entries that have not changed since `held` was copied, before the read: the store must have had them.
   * Newer ones may rightly be missing.
   */
  private unchanged(held: ReadonlyMap<string, number>): TimestampedEntry[] {
    return [...held]
      .filter(([field, timestamp]) => this.timestamps.get(field) === timestamp)
      .map(([field, timestamp]) => ({ field, timestamp, value: this.values.get(field) }));
  }

  /** Restores what the store has lost. The next check sees whether it worked, and tries again if not. */
  private async restore(lost: readonly TimestampedEntry[]): Promise<void> {
    const { store, log, bus } = this.dependencies;
    const { name } = this.settings;
    if (!this.lossLogged)
      log.warn('Shared settings were lost from the store: restored', { name, fields: lost.length });
    this.lossLogged = true;
    try {
      await store.restoreFields(name, lost);
    } catch (error) {
      log.debug('Shared settings not restored', { name, error });
      return;
    }
    bus.broadcast(`map:${name}`, null);
  }

  /** Deletes expired tombstones from time to time. Every replica does this; the first one is enough. */
  private async forget(): Promise<void> {
    const now = this.now();
    if (now - this.forgottenAt < forgetEveryMs) return;
    this.forgottenAt = now;
    const expired = this.expired();
    if (expired.length === 0) return;
    await this.dependencies.store.forgetFields(this.settings.name, expired);
    for (const { field, timestamp } of expired)
      if (this.timestamps.get(field) === timestamp) this.timestamps.delete(field);
  }

  private expired(): { field: string; timestamp: number }[] {
    const beforeMicros = (this.now() - tombstoneKeptMs) * 1000;
    return [...this.timestamps]
      .filter(([field, timestamp]) => timestamp < beforeMicros && !this.values.has(field))
      .map(([field, timestamp]) => ({ field, timestamp }));
  }

  private now(): number {
    return (this.dependencies.now ?? Date.now)();
  }

  /** Applies an entry, unless a newer one is known. */
  private apply({ field, timestamp, value }: TimestampedEntry): void {
    const held = this.timestamps.get(field);
    if (held !== undefined && held >= timestamp) return;
    this.timestamps.set(field, timestamp);
    if (this.values.get(field) === value) return;
    if (value === undefined) this.values.delete(field);
    else this.values.set(field, value);
    for (const listener of this.listeners) {
      try {
        listener(field, value);
      } catch (error) {
        // The map must be complete, even if a listener fails.
        this.dependencies.log.error('Shared setting not applied', { name: this.settings.name, field, error });
      }
    }
  }
}
