import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../logging/log.js';
import type { Bus } from './bus.js';
import type { SharedStore, StampedEntry, StampedFields } from './shared-store.js';

interface ReplicatedMapDependencies {
  readonly store: SharedStore;
  readonly bus: Bus;
  readonly log: Log;
  /** Tells how old what was removed is; `Date.now` unless given. */
  readonly now?: () => number;
}

interface ReplicatedMapSettings {
  /** Key in the store and kind on the bus. */
  readonly name: string;
  /** The store is asked this often whether something has changed unheard, in milliseconds. */
  readonly checkMs: number;
}

/** Called for each field whose value has changed, here or on another replica; `undefined`: it was removed. */
type FieldListener = (field: string, value: string | undefined) => void;

/** For this long it is known of a field that it was removed, in milliseconds. */
const tombstoneKeptMs = 86_400_000;
const forgetEveryMs = 600_000;

/**
 * A map of text that every replica holds in memory: reading it costs nothing, a change is written to the store, told to all replicas at
 * once, and found by those that did not hear of it within `checkMs`.
 *
 * The last writer of a field wins, by the clock of the store: each value has the stamp of its writing, and a removal leaves a stamped
 * tombstone, for a day. So the map survives restarts of replicas, and what any of them holds survives a store that comes back empty or in
 * an older state: whatever it has not, or has with a smaller stamp, is written back, and a removal is not taken for a loss. Only a
 * replica that has not reached the store for more than that day may bring back what was removed in the meantime.
 */
export class ReplicatedMap {
  private readonly values = new Map<string, string>();
  /** Of each field that is known; one without a value is a tombstone. */
  private readonly stamps = new Map<string, number>();
  /** The version at which the store was last seen to have all that is held here; `undefined`: whether it has is not known. */
  private inStep: { readonly version: string | undefined } | undefined;
  private hasRead = false;
  private isLossLogged = false;
  private forgottenAt = 0;
  private readonly listeners: FieldListener[] = [];
  private readonly timer: NodeJS.Timeout;
  private reading: Promise<void> | undefined;

  constructor(
    private readonly dependencies: ReplicatedMapDependencies,
    private readonly settings: ReplicatedMapSettings,
  ) {
    dependencies.bus.on(`map:${settings.name}`, () => void this.read());
    this.timer = setInterval(() => void this.check(), settings.checkMs);
    this.timer.unref();
  }

  /** For those who must not go on without: `what` tells what is asked of the map. @throws RefusalError `unavailable` until it is known */
  checkKnown(what: string): void {
    if (this.hasRead) return;
    throw new RefusalError('unavailable', `Redis was not reached yet: it is not known ${what}`, {
      retryAfterMs: 1000,
    });
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
   * Sets fields, here at once when the store has them.
   *
   * @throws RefusalError `unavailable`: nothing is changed; `outcome_unknown`: it may be, and is found by all replicas then
   */
  async set(fields: Readonly<Record<string, string | undefined>>): Promise<void> {
    const { store, bus } = this.dependencies;
    const { name } = this.settings;
    // The store may have lost what is held here, and its clock may be another one now: what is set must win nevertheless.
    let above = 0;
    for (const field of Object.keys(fields)) above = Math.max(above, this.stamps.get(field) ?? 0);
    const stamp = await store.stampFields(name, fields, above);
    this.inStep = undefined;
    for (const [field, value] of Object.entries(fields)) this.apply({ field, stamp, value });
    // A reading under way may have begun before the change.
    if (this.reading !== undefined) void this.read();
    bus.broadcast(`map:${name}`, null);
  }

  /** Takes over what the store holds. Never rejects: what cannot be read now is read by the next check. */
  async read(): Promise<void> {
    // A change that comes while one reading is under way may be missing from it.
    while (this.reading !== undefined) await this.reading;
    this.reading = this.takeOver().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }

  close(): void {
    clearInterval(this.timer);
  }

  private async check(): Promise<void> {
    const { store } = this.dependencies;
    try {
      const version = await store.fieldsVersion(this.settings.name);
      // The check after a reading that is under way sees what has become of it.
      if (this.reading !== undefined) return;
      if (this.inStep === undefined || this.inStep.version !== version) await this.read();
      await this.forget();
    } catch {
      // Redis is away: what is known stays in force.
    }
  }

  private async takeOver(): Promise<void> {
    const { store, log } = this.dependencies;
    const { name } = this.settings;
    this.inStep = undefined;
    for (const { field } of this.expired()) this.stamps.delete(field);
    const held = new Map(this.stamps);
    let found: StampedFields;
    try {
      found = await store.stampedFields(name);
    } catch (error) {
      log.debug('Shared settings not read', { name, error });
      return;
    }
    this.hasRead = true;
    for (const [field, stamped] of found.fields) this.apply({ field, ...stamped });
    const lost = this.unchanged(held).filter(
      ({ field, stamp }) => (found.fields.get(field)?.stamp ?? -1) < stamp,
    );
    if (lost.length > 0) {
      await this.giveBack(lost);
      return;
    }
    this.inStep = { version: found.version };
    this.isLossLogged = false;
  }

  /** What is still held as it was at that time: the store had it by then. What was set since is missing from a reading rightly. */
  private unchanged(held: ReadonlyMap<string, number>): StampedEntry[] {
    return [...held]
      .filter(([field, stamp]) => this.stamps.get(field) === stamp)
      .map(([field, stamp]) => ({ field, stamp, value: this.values.get(field) }));
  }

  /** Writes what the store has lost. Whether it has it then is seen by the next check, which tries again if not. */
  private async giveBack(lost: readonly StampedEntry[]): Promise<void> {
    const { store, log, bus } = this.dependencies;
    const { name } = this.settings;
    if (!this.isLossLogged)
      log.warn('Shared settings were lost from the store: written again', { name, fields: lost.length });
    this.isLossLogged = true;
    try {
      await store.restoreFields(name, lost);
    } catch (error) {
      log.debug('Shared settings not written', { name, error });
      return;
    }
    bus.broadcast(`map:${name}`, null);
  }

  /** Drops, now and then, the tombstones that are past their time; every replica does, whichever comes first. */
  private async forget(): Promise<void> {
    const now = this.now();
    if (now - this.forgottenAt < forgetEveryMs) return;
    this.forgottenAt = now;
    const expired = this.expired();
    if (expired.length === 0) return;
    await this.dependencies.store.forgetFields(this.settings.name, expired);
    for (const { field, stamp } of expired) if (this.stamps.get(field) === stamp) this.stamps.delete(field);
  }

  private expired(): { field: string; stamp: number }[] {
    const beforeMicros = (this.now() - tombstoneKeptMs) * 1000;
    return [...this.stamps]
      .filter(([field, stamp]) => stamp < beforeMicros && !this.values.has(field))
      .map(([field, stamp]) => ({ field, stamp }));
  }

  private now(): number {
    return (this.dependencies.now ?? Date.now)();
  }

  /** Holds an entry, unless a newer one is held. */
  private apply({ field, stamp, value }: StampedEntry): void {
    const held = this.stamps.get(field);
    if (held !== undefined && held >= stamp) return;
    this.stamps.set(field, stamp);
    if (this.values.get(field) === value) return;
    if (value === undefined) this.values.delete(field);
    else this.values.set(field, value);
    for (const listener of this.listeners) {
      try {
        listener(field, value);
      } catch (error) {
        // What is held must be complete, whatever one of them makes of it.
        this.dependencies.log.error('Shared setting not taken', { name: this.settings.name, field, error });
      }
    }
  }
}
