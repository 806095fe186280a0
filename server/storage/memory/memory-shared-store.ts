import type {
  SharedStore,
  TimestampedValue,
  TimestampedEntry,
  TimestampedFields,
  StoredRecord,
} from '../../cluster/shared-store.js';

const sweepLeast = 100;

/** Shared state of a replica that runs alone; it ends with the process. */
export class MemorySharedStore implements SharedStore {
  private readonly values = new Map<string, { value: string; expiresAt: number }>();
  private readonly maps = new Map<
    string,
    { version: number; readonly fields: Map<string, TimestampedValue> }
  >();
  private readonly lists = new Map<string, StoredRecord[]>();
  /** With so many values, expired ones are looked for. */
  private sweepAt = sweepLeast;
  private lastId = 0;
  private lastRecordAt = 0;
  /** The last timestamp of any map: timestamps are unique, although the clock counts whole milliseconds. */
  private lastTimestamp = 0;

  constructor(private readonly dependencies: { readonly now: () => number }) {}

  async get(key: string): Promise<string | undefined> {
    return this.live(key);
  }

  async set(key: string, value: string, ttlMs = Infinity): Promise<void> {
    this.values.set(key, { value, expiresAt: this.dependencies.now() + ttlMs });
    if (this.values.size >= this.sweepAt) this.sweep();
  }

  /** Deletes expired values. Those that are kept for long must not keep it from the others, however few they are. */
  private sweep(): void {
    const now = this.dependencies.now();
    for (const [key, { expiresAt }] of this.values) if (expiresAt <= now) this.values.delete(key);
    this.sweepAt = Math.max(sweepLeast, 2 * this.values.size);
  }

  async setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean> {
    if (this.live(key) !== undefined) return false;
    await this.set(key, value, ttlMs);
    return true;
  }

  async replace(key: string, before: string, value: string, ttlMs: number): Promise<boolean> {
    if (this.live(key) !== before) return false;
    await this.set(key, value, ttlMs);
    return true;
  }

  async delete(key: string): Promise<boolean> {
    const known = this.live(key) !== undefined;
    this.values.delete(key);
    return this.maps.delete(key) || this.lists.delete(key) || known;
  }

  async readFields(key: string): Promise<TimestampedFields> {
    return { version: await this.fieldsVersion(key), fields: new Map(this.maps.get(key)?.fields) };
  }

  async fieldsVersion(key: string): Promise<string | undefined> {
    return this.maps.get(key)?.version.toString();
  }

  async writeFields(
    key: string,
    fields: Readonly<Record<string, string | undefined>>,
    above = 0,
  ): Promise<number> {
    const timestamp = this.nextTimestamp(above);
    const map = this.map(key);
    for (const [field, value] of Object.entries(fields)) map.fields.set(field, { timestamp, value });
    map.version = timestamp;
    return timestamp;
  }

  async restoreFields(key: string, entries: readonly TimestampedEntry[]): Promise<void> {
    const stored = this.maps.get(key)?.fields;
    const newer = entries.filter(({ field, timestamp }) => (stored?.get(field)?.timestamp ?? -1) < timestamp);
    if (newer.length === 0) return;
    const map = this.map(key);
    for (const { field, timestamp, value } of newer) map.fields.set(field, { timestamp, value });
    map.version = this.nextTimestamp(
      newer.reduce((greatest, { timestamp }) => Math.max(greatest, timestamp), 0),
    );
  }

  async forgetFields(
    key: string,
    entries: readonly Pick<TimestampedEntry, 'field' | 'timestamp'>[],
  ): Promise<void> {
    const fields = this.maps.get(key)?.fields;
    for (const { field, timestamp } of entries)
      if (fields?.get(field)?.timestamp === timestamp) fields.delete(field);
  }

  async append(key: string, fields: Readonly<Record<string, string>>, limit: number): Promise<string> {
    const list = this.lists.get(key) ?? [];
    this.lists.set(key, list);
    this.lastRecordAt = Math.max(this.lastRecordAt, this.dependencies.now());
    const id = `${this.lastRecordAt}-${this.lastId++}`;
    list.push({ id, fields: { ...fields } });
    if (list.length > limit) list.splice(0, list.length - limit);
    return id;
  }

  async latest(key: string, limit: number, before?: string): Promise<StoredRecord[]> {
    const list = this.lists.get(key) ?? [];
    // Ids ascend, also if the clock is set back. As in Redis, `before` need not be the id of a record of this list.
    const found = before === undefined ? -1 : list.findIndex(({ id }) => !isBefore(id, before));
    return list
      .slice(0, found < 0 ? list.length : found)
      .reverse()
      .slice(0, limit);
  }

  private map(key: string): { version: number; readonly fields: Map<string, TimestampedValue> } {
    const map = this.maps.get(key) ?? { version: 0, fields: new Map<string, TimestampedValue>() };
    this.maps.set(key, map);
    return map;
  }

  private nextTimestamp(above: number): number {
    const nowMicros = Math.floor(this.dependencies.now() * 1000);
    this.lastTimestamp = Math.max(nowMicros, this.lastTimestamp + 1, above + 1);
    return this.lastTimestamp;
  }

  private live(key: string): string | undefined {
    const kept = this.values.get(key);
    return kept !== undefined && kept.expiresAt > this.dependencies.now() ? kept.value : undefined;
  }
}

function isBefore(id: string, other: string): boolean {
  const [at = 0, sequence = 0] = id.split('-').map(Number);
  const [otherAt = 0, otherSequence = 0] = other.split('-').map(Number);
  return at < otherAt || (at === otherAt && sequence < otherSequence);
}
