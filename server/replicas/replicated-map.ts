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
 * A field that is written once, with the first of the others: where it is another one, the store has lost what it held. Whoever gives that
 * back names the origin before: `new<old`.
 */
const originField = '#origin';

/**
 * A map of text that every replica holds in memory: reading it costs nothing, a change is written to the store, told to all replicas at
 * once, and found by those that did not hear of it within `checkMs`. It survives restarts, and a store that comes back empty is given back
 * what replicas still hold. The last writer of a field wins.
 */
export class ReplicatedMap {
  private values = new Map<string, string>();
  private version: string | undefined;
  private origin: string | undefined;
  private hasRead = false;
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

  /** Whether the store was ever read: until then nothing is known of what it holds. */
  get isKnown(): boolean {
    return this.hasRead;
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
    const { bus } = this.dependencies;
    await this.write(fields, {});
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
    const origin = found.get(originField);
    const isLost = this.origin !== undefined && origin !== this.origin;
    if (isLost && !(origin ?? '').endsWith(`<${idOf(this.origin)}`)) {
      await this.giveBack(origin);
      return;
    }
    this.origin = origin;
    this.version = found.get(versionField);
    this.hasRead = true;
    found.delete(versionField);
    found.delete(originField);
    for (const field of [...this.values.keys()]) if (!found.has(field)) this.apply(field, undefined);
    for (const [field, value] of found) this.apply(field, value);
  }

  /** The store has lost what it held: writes what it does not have from what is known here, and reads again. */
  private async giveBack(found: string | undefined): Promise<void> {
    const { log, bus } = this.dependencies;
    const { name } = this.settings;
    log.warn('Shared settings were lost from the store: written again', { name, fields: this.values.size });
    const held = Object.fromEntries(this.values);
    try {
      await this.write({}, held, `<${idOf(this.origin)}`);
    } catch (error) {
      log.debug('Shared settings not written', { name, error });
      return;
    }
    this.origin = found;
    bus.broadcast(`map:${name}`, null);
    await this.takeOver();
  }

  private write(
    fields: Readonly<Record<string, string | undefined>>,
    absent: Readonly<Record<string, string>>,
    before = '',
  ): Promise<void> {
    const { store, bus } = this.dependencies;
    const version = `${bus.replicaId}-${Date.now()}-${this.changes++}`;
    return store.setFields(
      this.settings.name,
      { ...fields, [versionField]: version },
      { ...absent, [originField]: version + before },
    );
  }

  private apply(field: string, value: string | undefined): void {
    if (this.values.get(field) === value) return;
    if (value === undefined) this.values.delete(field);
    else this.values.set(field, value);
    for (const listener of this.listeners) listener(field, value);
  }
}

function idOf(origin: string | undefined): string | undefined {
  return origin?.split('<')[0];
}
