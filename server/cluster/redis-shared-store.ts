import { RefusalError } from '../../shared/errors.js';
import type { SharedStore, StoredRecord } from '../replicas/shared-store.js';
import type { RedisLink } from './redis-link.js';
import { RedisScript } from './redis-script.js';

/** Shared state in Redis: strings, hashes and streams. */
export class RedisSharedStore implements SharedStore {
  private readonly setScript = new RedisScript('set-fields');

  constructor(
    private readonly link: RedisLink,
    private readonly settings: { readonly keyPrefix: string },
  ) {}

  async get(key: string): Promise<string | undefined> {
    return (await this.call<string | null>(['GET', this.key(key)])) ?? undefined;
  }

  async set(key: string, value: string, ttlMs?: number): Promise<void> {
    const expiry = ttlMs === undefined ? [] : ['PX', String(Math.max(1, Math.round(ttlMs)))];
    await this.call(['SET', this.key(key), value, ...expiry]);
  }

  async setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean> {
    const ttl = String(Math.max(1, Math.round(ttlMs)));
    return (await this.call<string | null>(['SET', this.key(key), value, 'PX', ttl, 'NX'])) !== null;
  }

  async delete(key: string): Promise<boolean> {
    return (await this.call<number>(['DEL', this.key(key)])) > 0;
  }

  async fields(key: string): Promise<Map<string, string>> {
    const flat = await this.call<string[]>(['HGETALL', this.key(key)]);
    const fields = new Map<string, string>();
    for (let i = 0; i < flat.length; i += 2) fields.set(flat[i]!, flat[i + 1]!);
    return fields;
  }

  async field(key: string, field: string): Promise<string | undefined> {
    return (await this.call<string | null>(['HGET', this.key(key), field])) ?? undefined;
  }

  async setFields(key: string, fields: Readonly<Record<string, string | undefined>>): Promise<void> {
    const set: string[] = [];
    const removed: string[] = [];
    for (const [field, value] of Object.entries(fields)) {
      if (value === undefined) removed.push(field);
      else set.push(field, value);
    }
    const args = [String(set.length / 2), ...set, ...removed];
    await this.attempt(() => this.setScript.run(this.link, [this.key(key)], args));
  }

  async append(key: string, fields: Readonly<Record<string, string>>, limit: number): Promise<string> {
    const pairs = Object.entries(fields).flat();
    return this.call<string>(['XADD', this.key(key), 'MAXLEN', '~', String(limit), '*', ...pairs]);
  }

  async latest(key: string, limit: number, before?: string): Promise<StoredRecord[]> {
    const end = before === undefined ? '+' : `(${before}`;
    const rows = await this.call<[string, string[]][]>([
      'XREVRANGE',
      this.key(key),
      end,
      '-',
      'COUNT',
      String(limit),
    ]);
    return rows.map(([id, flat]) => {
      const fields: Record<string, string> = {};
      for (let i = 0; i < flat.length; i += 2) fields[flat[i]!] = flat[i + 1]!;
      return { id, fields };
    });
  }

  private key(key: string): string {
    return `${this.settings.keyPrefix}:${key}`;
  }

  private call<Reply>(args: string[]): Promise<Reply> {
    return this.attempt(() => this.link.call<Reply>(args));
  }

  private async attempt<Reply>(run: () => Promise<Reply>): Promise<Reply> {
    try {
      return await run();
    } catch (error) {
      throw error instanceof RefusalError ? error : this.link.unavailable(error);
    }
  }
}
