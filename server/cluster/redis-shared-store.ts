import { RefusalError } from '../../shared/errors.js';
import type { SharedStore, StoredRecord } from '../replicas/shared-store.js';
import { answerInTime, NoAnswerError } from '../replicas/answer-in-time.js';
import { LostAnswerError, type RedisLink } from './redis-link.js';
import { RedisScript } from './redis-script.js';

/** Shared state in Redis: strings, hashes and streams. */
export class RedisSharedStore implements SharedStore {
  private readonly setScript = new RedisScript('set-fields');

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

  async fields(key: string): Promise<Map<string, string>> {
    const flat = await this.read<string[]>(['HGETALL', this.key(key)]);
    const fields = new Map<string, string>();
    for (let i = 0; i < flat.length; i += 2) fields.set(flat[i]!, flat[i + 1]!);
    return fields;
  }

  async field(key: string, field: string): Promise<string | undefined> {
    return (await this.read<string | null>(['HGET', this.key(key), field])) ?? undefined;
  }

  async setFields(
    key: string,
    fields: Readonly<Record<string, string | undefined>>,
    absent: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const set: string[] = [];
    const removed: string[] = [];
    for (const [field, value] of Object.entries(fields)) {
      if (value === undefined) removed.push(field);
      else set.push(field, value);
    }
    const added = Object.entries(absent).flat();
    const args = [String(set.length / 2), String(added.length / 2), ...set, ...added, ...removed];
    await this.change(() => this.setScript.run(this.link, [this.key(key)], args));
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
      if (error instanceof LostAnswerError || error instanceof NoAnswerError)
        throw this.link.outcomeUnknown(error);
      throw error instanceof RefusalError ? error : this.link.unavailable(error);
    }
  }

  private inTime<Reply>(answer: Promise<Reply>): Promise<Reply> {
    return answerInTime(answer, this.settings.answerLimitMs);
  }
}
