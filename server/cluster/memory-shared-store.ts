import type { SharedStore, StoredRecord } from '../replicas/shared-store.js';

/** Shared state of a replica that is alone; gone with it. */
export class MemorySharedStore implements SharedStore {
  private readonly values = new Map<string, { value: string; expiresMs: number }>();
  private readonly maps = new Map<string, Map<string, string>>();
  private readonly lists = new Map<string, StoredRecord[]>();
  private lastId = 0;

  constructor(private readonly dependencies: { readonly nowMs: () => number }) {}

  async get(key: string): Promise<string | undefined> {
    return this.live(key);
  }

  async set(key: string, value: string, ttlMs = Infinity): Promise<void> {
    const nowMs = this.dependencies.nowMs();
    this.values.delete(key);
    this.values.set(key, { value, expiresMs: nowMs + ttlMs });
    // A few at a time: expired ones would pile up otherwise.
    let looked = 0;
    for (const [other, { expiresMs }] of this.values) {
      if (expiresMs <= nowMs) this.values.delete(other);
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

  async fields(key: string): Promise<Map<string, string>> {
    return new Map(this.maps.get(key));
  }

  async field(key: string, field: string): Promise<string | undefined> {
    return this.maps.get(key)?.get(field);
  }

  async setFields(
    key: string,
    fields: Readonly<Record<string, string | undefined>>,
    absent: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const map = this.maps.get(key) ?? new Map<string, string>();
    this.maps.set(key, map);
    for (const [field, value] of Object.entries(absent)) if (!map.has(field)) map.set(field, value);
    for (const [field, value] of Object.entries(fields)) {
      if (value === undefined) map.delete(field);
      else map.set(field, value);
    }
  }

  async append(key: string, fields: Readonly<Record<string, string>>, limit: number): Promise<string> {
    const list = this.lists.get(key) ?? [];
    this.lists.set(key, list);
    const id = `${this.dependencies.nowMs()}-${this.lastId++}`;
    list.push({ id, fields: { ...fields } });
    if (list.length > limit) list.splice(0, list.length - limit);
    return id;
  }

  async latest(key: string, limit: number, before?: string): Promise<StoredRecord[]> {
    const list = this.lists.get(key) ?? [];
    const end = before === undefined ? list.length : list.findIndex(({ id }) => id === before);
    return list.slice(0, Math.max(0, end)).reverse().slice(0, limit);
  }

  private live(key: string): string | undefined {
    const kept = this.values.get(key);
    return kept !== undefined && kept.expiresMs > this.dependencies.nowMs() ? kept.value : undefined;
  }
}
