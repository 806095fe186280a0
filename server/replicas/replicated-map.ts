import type { Log } from '../telemetry/log.js';
import type { Bus } from './bus.js';
import type { SharedStore } from './shared-store.js';

export interface ReplicatedMapDependencies {
  readonly store: SharedStore;
  readonly bus: Bus;
  readonly log: Log;
}

export interface ReplicatedMapSettings {
  /** Key in the store and kind on the bus. */
  readonly name: string;
  /** The store is asked this often whether something has changed unheard, in milliseconds. */
  readonly checkMs: number;
}

/** Called for each field whose value has changed, here or on another replica; `undefined`: it was removed. */
export type FieldListener = (field: string, value: string | undefined) => void;

/** A field that changes with every change of the others. */
const versionField = '#version';

/**
 * A map of text that every replica holds in memory: reading it costs nothing, a change is written to the store, told to all replicas at
 * once, and found by those that did not hear of it within `checkMs`. It survives restarts. The last writer of a field wins.
 */
export class ReplicatedMap {
  private values = new Map<string, string>();
  private version: string | undefined;
  private readonly listeners: FieldListener[] = [];
  private readonly timer: NodeJS.Timeout;
  private reading: Promise<void> | undefined;
  private changes = 0;

  constructor(
    private readonly dependencies: ReplicatedMapDependencies,
    private readonly settings: ReplicatedMapSettings,
  ) {
    dependencies.bus.on(`map:${settings.name}`, () => void this.read());
    this.timer = setInterval(() => void this.check(), settings.checkMs);
    this.timer.unref();
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

  /** Sets fields, here at once when the store has them. @throws RefusalError `unavailable`; nothing is changed then */
  async set(fields: Readonly<Record<string, string | undefined>>): Promise<void> {
    const { store, bus } = this.dependencies;
    const version = `${bus.replicaId}-${Date.now()}-${this.changes++}`;
    await store.setFields(this.settings.name, { ...fields, [versionField]: version });
    for (const [field, value] of Object.entries(fields)) this.apply(field, value);
    // A reading under way may have begun before the change.
    if (this.reading !== undefined) void this.read();
    bus.broadcast(`map:${this.settings.name}`, null);
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
    try {
      const version = await this.dependencies.store.field(this.settings.name, versionField);
      if (version !== this.version) await this.read();
    } catch {
      // Redis is away: what is known stays in force.
    }
  }

  private async takeOver(): Promise<void> {
    let found: Map<string, string>;
    try {
      found = await this.dependencies.store.fields(this.settings.name);
    } catch (error) {
      this.dependencies.log.debug('Shared settings not read', { name: this.settings.name, error });
      return;
    }
    this.version = found.get(versionField);
    found.delete(versionField);
    for (const field of [...this.values.keys()]) if (!found.has(field)) this.apply(field, undefined);
    for (const [field, value] of found) this.apply(field, value);
  }

  private apply(field: string, value: string | undefined): void {
    if (this.values.get(field) === value) return;
    if (value === undefined) this.values.delete(field);
    else this.values.set(field, value);
    for (const listener of this.listeners) listener(field, value);
  }
}
