import type {
  SharedStore,
  Stamped,
  StampedEntry,
  StampedFields,
  StoredRecord,
} from '../../cluster/shared-store.js';

/** Shared state of a replica that is alone; gone with it. */
export class MemorySharedStore implements SharedStore {
  private readonly values = new Map<string, { value: string; expiresAt: number }>();
  private readonly maps = new Map<string, { version: number; readonly fields: Map<string, Stamped> }>();
  private readonly lists = new Map<string, StoredRecord[]>();
  private lastId = 0;
  /** Of any map: no stamp is given twice, although the clock counts milliseconds only. */
  private lastStamp = 0;

  constructor(private readonly dependencies: { readonly now: () => number }) {}

  async get(key: string): Promise<string | undefined> {
    return this.live(key);
  }

  async set(key: string, value: string, ttlMs = Infinity): Promise<void> {
    const now = this.dependencies.now();
    this.values.delete(key);
    this.values.set(key, { value, expiresAt: now + ttlMs });
    // A few at a time: expired ones would pile up otherwise.
    let looked = 0;
    for (const [other, { expiresAt }] of this.values) {
      if (expiresAt <= now) this.values.delete(other);
      if (++looked === 10) break;
    }
  }

  async setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean> {
    if (this.live(key) !== undefined) return false;
    await this.set(key, value, ttlMs);
    return true;
  }

  async delete(key: string): Promise<boolean> {
    const known = this.live(key) !== undefined;
    this.values.delete(key);
    return this.maps.delete(key) || this.lists.delete(key) || known;
  }

  async stampedFields(key: string): Promise<StampedFields> {
    return { version: await this.fieldsVersion(key), fields: new Map(this.maps.get(key)?.fields) };
  }

  async fieldsVersion(key: string): Promise<string | undefined> {
    return this.maps.get(key)?.version.toString();
  }

  async stampFields(
    key: string,
    fields: Readonly<Record<string, string | undefined>>,
    above = 0,
  ): Promise<number> {
    const stamp = this.nextStamp(above);
    const map = this.map(key);
    for (const [field, value] of Object.entries(fields)) map.fields.set(field, { stamp, value });
    map.version = stamp;
    return stamp;
  }

  async restoreFields(key: string, entries: readonly StampedEntry[]): Promise<void> {
    const stored = this.maps.get(key)?.fields;
    const newer = entries.filter(({ field, stamp }) => (stored?.get(field)?.stamp ?? -1) < stamp);
    if (newer.length === 0) return;
    const map = this.map(key);
    for (const { field, stamp, value } of newer) map.fields.set(field, { stamp, value });
    map.version = this.nextStamp(newer.reduce((greatest, { stamp }) => Math.max(greatest, stamp), 0));
  }

  async forgetFields(key: string, entries: readonly Pick<StampedEntry, 'field' | 'stamp'>[]): Promise<void> {
    const fields = this.maps.get(key)?.fields;
    for (const { field, stamp } of entries) if (fields?.get(field)?.stamp === stamp) fields.delete(field);
  }

  async append(key: string, fields: Readonly<Record<string, string>>, limit: number): Promise<string> {
    const list = this.lists.get(key) ?? [];
    this.lists.set(key, list);
    const id = `${this.dependencies.now()}-${this.lastId++}`;
    list.push({ id, fields: { ...fields } });
    if (list.length > limit) list.splice(0, list.length - limit);
    return id;
  }

  async latest(key: string, limit: number, before?: string): Promise<StoredRecord[]> {
    const list = this.lists.get(key) ?? [];
    const end = before === undefined ? list.length : list.findIndex(({ id }) => id === before);
    return list.slice(0, Math.max(0, end)).reverse().slice(0, limit);
  }

  private map(key: string): { version: number; readonly fields: Map<string, Stamped> } {
    const map = this.maps.get(key) ?? { version: 0, fields: new Map<string, Stamped>() };
    this.maps.set(key, map);
    return map;
  }

  private nextStamp(above: number): number {
    const nowMicros = Math.floor(this.dependencies.now() * 1000);
    this.lastStamp = Math.max(nowMicros, this.lastStamp + 1, above + 1);
    return this.lastStamp;
  }

  private live(key: string): string | undefined {
    const kept = this.values.get(key);
    return kept !== undefined && kept.expiresAt > this.dependencies.now() ? kept.value : undefined;
  }
}
