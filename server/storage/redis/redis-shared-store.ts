import { RefusalError } from '../../../shared/errors.js';
import type {
  SharedStore,
  Stamped,
  StampedEntry,
  StampedFields,
  StoredRecord,
} from '../../cluster/shared-store.js';
import { withTimeout, TimeLimitError } from '../../primitives/with-timeout.js';
import { ResponseLostError, type RedisLink } from './redis-link.js';
import { RedisScript } from './redis-script.js';

/** The field of a stamped map that changes with every change of the others. */
const versionField = '#version';

/** Shared state in Redis: strings, hashes and streams. How the hash of a stamped map looks is said in `stamp-fields.lua`. */
export class RedisSharedStore implements SharedStore {
  private readonly stampScript = new RedisScript('stamp-fields');
  private readonly restoreScript = new RedisScript('restore-fields');
  private readonly forgetScript = new RedisScript('forget-fields');

  constructor(
    private readonly link: RedisLink,
    private readonly settings: {
      readonly keyPrefix: string;
      /** An answer is waited for this long at most. */
      readonly answerLimitMs: number;
    },
  ) {}

  async get(key: string): Promise<string | undefined> {
    return (await this.read<string | null>(['GET', this.key(key)])) ?? undefined;
  }

  async set(key: string, value: string, ttlMs?: number): Promise<void> {
    const expiry = ttlMs === undefined ? [] : ['PX', String(Math.max(1, Math.round(ttlMs)))];
    await this.change(() => this.link.call(['SET', this.key(key), value, ...expiry]));
  }

  async setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean> {
    const ttl = String(Math.max(1, Math.round(ttlMs)));
    const args = ['SET', this.key(key), value, 'PX', ttl, 'NX'];
    return (await this.change(() => this.link.call<string | null>(args))) !== null;
  }

  async delete(key: string): Promise<boolean> {
    return (await this.change(() => this.link.call<number>(['DEL', this.key(key)]))) > 0;
  }

  async stampedFields(key: string): Promise<StampedFields> {
    const flat = await this.read<string[]>(['HGETALL', this.key(key)]);
    const fields = new Map<string, Stamped>();
    let version: string | undefined;
    for (let i = 0; i < flat.length; i += 2) {
      const field = flat[i]!;
      if (field === versionField) version = flat[i + 1]!;
      else if (!field.startsWith('#')) fields.set(field, parse(flat[i + 1]!));
    }
    return { version, fields };
  }

  async fieldsVersion(key: string): Promise<string | undefined> {
    return (await this.read<string | null>(['HGET', this.key(key), versionField])) ?? undefined;
  }

  async stampFields(
    key: string,
    fields: Readonly<Record<string, string | undefined>>,
    above = 0,
  ): Promise<number> {
    const set: string[] = [];
    const removed: string[] = [];
    for (const [field, value] of Object.entries(fields)) {
      if (value === undefined) removed.push(field);
      else set.push(field, value);
    }
    const args = [String(above), String(set.length / 2), ...set, ...removed];
    return Number(await this.change(() => this.stampScript.run<string>(this.link, [this.key(key)], args)));
  }

  async restoreFields(key: string, entries: readonly StampedEntry[]): Promise<void> {
    const args = entries.flatMap((entry) => [entry.field, textOf(entry)]);
    await this.change(() => this.restoreScript.run(this.link, [this.key(key)], args));
  }

  async forgetFields(key: string, entries: readonly Pick<StampedEntry, 'field' | 'stamp'>[]): Promise<void> {
    const args = entries.flatMap(({ field, stamp }) => [field, String(stamp)]);
    await this.change(() => this.forgetScript.run(this.link, [this.key(key)], args));
  }

  async append(key: string, fields: Readonly<Record<string, string>>, limit: number): Promise<string> {
    const pairs = Object.entries(fields).flat();
    const args = ['XADD', this.key(key), 'MAXLEN', '~', String(limit), '*', ...pairs];
    return this.change(() => this.link.call<string>(args));
  }

  async latest(key: string, limit: number, before?: string): Promise<StoredRecord[]> {
    const end = before === undefined ? '+' : `(${before}`;
    const rows = await this.read<[string, string[]][]>([
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

  private async read<Reply>(args: string[]): Promise<Reply> {
    try {
      return await this.inTime(this.link.call<Reply>(args));
    } catch (error) {
      throw error instanceof RefusalError ? error : this.link.unavailable(error);
    }
  }

  private async change<Reply>(run: () => Promise<Reply>): Promise<Reply> {
    try {
      return await this.inTime(run());
    } catch (error) {
      // Redis runs what has reached it, also after a stall in which we have given up.
      if (error instanceof ResponseLostError || error instanceof TimeLimitError)
        throw this.link.outcomeUnknown(error);
      throw error instanceof RefusalError ? error : this.link.unavailable(error);
    }
  }

  private inTime<Reply>(answer: Promise<Reply>): Promise<Reply> {
    return withTimeout(answer, this.settings.answerLimitMs);
  }
}

function textOf({ stamp, value }: Stamped): string {
  return value === undefined ? String(stamp) : `${stamp} ${value}`;
}

/** What has no stamp was written before there were any: older than all that has one. */
function parse(text: string): Stamped {
  const [, stamp, value] = /^(\d+)(?: (.*))?$/s.exec(text) ?? [];
  return stamp === undefined ? { stamp: 0, value: text } : { stamp: Number(stamp), value };
}
