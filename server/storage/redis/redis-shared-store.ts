import { RefusalError } from '../../../shared/errors.js';
import type {
  SharedStore,
  TimestampedValue,
  TimestampedEntry,
  TimestampedFields,
  StoredRecord,
} from '../../cluster/shared-store.js';
import type { Log } from '../../logging/log.js';
import { withTimeout, TimeLimitError } from '../../primitives/with-timeout.js';
import { isLasting, RefusedCommands } from './refused-commands.js';
import { ResponseLostError } from './redis-commands.js';
import { RedisScript } from './redis-script.js';
import type { RedisStore } from './redis-store.js';

/** The field that holds the version of a last-write-wins map. */
const versionField = '#version';

/**
 * Shared state in Redis: strings, hashes and streams. `write-fields.lua` describes the hash of a
 * last-write-wins map.
 */
export class RedisSharedStore implements SharedStore {
  private readonly replaceScript = new RedisScript('replace-value');
  private readonly writeScript = new RedisScript('write-fields');
  private readonly restoreScript = new RedisScript('restore-fields');
  private readonly forgetScript = new RedisScript('forget-fields');

  private readonly link: RedisStore;
  private readonly refusedCommands: RefusedCommands;

  constructor(
    { link, log }: { readonly link: RedisStore; readonly log: Log },
    private readonly settings: {
      readonly keyPrefix: string;
      /** A call that is not answered within this time fails. */
      readonly answerLimitMs: number;
    },
  ) {
    this.link = link;
    this.refusedCommands = new RefusedCommands(log);
  }

  async get(key: string): Promise<string | undefined> {
    return (await this.read<string | null>(key, ['GET', this.key(key)])) ?? undefined;
  }

  async set(key: string, value: string, ttlMs?: number): Promise<void> {
    const expiry = ttlMs === undefined ? [] : ['PX', String(Math.max(1, Math.round(ttlMs)))];
    await this.change(key, () => this.link.call(['SET', this.key(key), value, ...expiry]));
  }

  async setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean> {
    const ttl = String(Math.max(1, Math.round(ttlMs)));
    const args = ['SET', this.key(key), value, 'PX', ttl, 'NX'];
    return (await this.change(key, () => this.link.call<string | null>(args))) !== null;
  }

  async replace(key: string, before: string, value: string, ttlMs: number): Promise<boolean> {
    const args = [before, value, String(Math.max(1, Math.round(ttlMs)))];
    const replaced = await this.change(key, () =>
      this.replaceScript.run<number>(this.link, [this.key(key)], args),
    );
    return replaced === 1;
  }

  async delete(key: string): Promise<boolean> {
    return (await this.change(key, () => this.link.call<number>(['DEL', this.key(key)]))) > 0;
  }

  async readFields(key: string): Promise<TimestampedFields> {
    const flat = await this.read<string[]>(key, ['HGETALL', this.key(key)]);
    const fields = new Map<string, TimestampedValue>();
    let version: string | undefined;
    for (let i = 0; i < flat.length; i += 2) {
      const field = flat[i]!;
      if (field === versionField) version = flat[i + 1]!;
      else if (!field.startsWith('#')) fields.set(field, parse(flat[i + 1]!));
    }
    return { version, fields };
  }

  async fieldsVersion(key: string): Promise<string | undefined> {
    return (await this.read<string | null>(key, ['HGET', this.key(key), versionField])) ?? undefined;
  }

  async writeFields(
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
    return Number(
      await this.change(key, () => this.writeScript.run<string>(this.link, [this.key(key)], args)),
    );
  }

  async restoreFields(key: string, entries: readonly TimestampedEntry[]): Promise<void> {
    const args = entries.flatMap((entry) => [entry.field, textOf(entry)]);
    await this.change(key, () => this.restoreScript.run(this.link, [this.key(key)], args));
  }

  async forgetFields(
    key: string,
    entries: readonly Pick<TimestampedEntry, 'field' | 'timestamp'>[],
  ): Promise<void> {
    const args = entries.flatMap(({ field, timestamp }) => [field, String(timestamp)]);
    await this.change(key, () => this.forgetScript.run(this.link, [this.key(key)], args));
  }

  async append(key: string, fields: Readonly<Record<string, string>>, limit: number): Promise<string> {
    const pairs = Object.entries(fields).flat();
    const args = ['XADD', this.key(key), 'MAXLEN', '~', String(limit), '*', ...pairs];
    return this.change(key, () => this.link.call<string>(args));
  }

  async latest(key: string, limit: number, before?: string): Promise<StoredRecord[]> {
    const end = before === undefined ? '+' : `(${before}`;
    const rows = await this.read<[string, string[]][]>(key, [
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

  private async read<Reply>(key: string, args: string[]): Promise<Reply> {
    try {
      return await this.inTime(this.link.call<Reply>(args));
    } catch (error) {
      throw this.refusal(error, key);
    }
  }

  private async change<Reply>(key: string, run: () => Promise<Reply>): Promise<Reply> {
    try {
      return await this.inTime(run());
    } catch (error) {
      // Redis runs every command that has reached it, even after a stall that is longer than our time limit.
      if (error instanceof ResponseLostError || error instanceof TimeLimitError)
        throw this.link.outcomeUnknown(error);
      throw this.refusal(error, key);
    }
  }

  /** Converts an error for the caller. One that lasts is logged: nobody would learn otherwise why it goes on. */
  private refusal(error: unknown, key: string): RefusalError {
    if (error instanceof RefusalError) return error;
    if (!isLasting(error)) return this.link.unavailable(error);
    this.refusedCommands.report(error, { keys: [this.key(key)] });
    return this.link.refused(error);
  }

  private inTime<Reply>(answer: Promise<Reply>): Promise<Reply> {
    return withTimeout(answer, this.settings.answerLimitMs);
  }
}

function textOf({ timestamp, value }: TimestampedValue): string {
  return value === undefined ? String(timestamp) : `${timestamp} ${value}`;
}

/** A value without a timestamp was written by an older version: it is older than any with a timestamp. */
function parse(text: string): TimestampedValue {
  const [, timestamp, value] = /^(\d+)(?: (.*))?$/s.exec(text) ?? [];
  return timestamp === undefined ? { timestamp: 0, value: text } : { timestamp: Number(timestamp), value };
}
