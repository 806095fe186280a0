import { randomBytes } from 'node:crypto';
import { RefusalError } from '../../shared/errors.js';
import type { Log } from '../telemetry/log.js';
import type {
  AppendEntry,
  AppendReceipt,
  Broker,
  BrokerListener,
  BrokerState,
  Durability,
  LogEnd,
  LogEntry,
  LogSlice,
  Retention,
} from '../topics/broker.js';
import { decodeBatch, decodePrevious } from './batch-codec.js';
import { LostAnswerError, type RedisArgument, type RedisLink } from './redis-link.js';
import { RedisScript } from './redis-script.js';

export interface RedisBrokerDependencies {
  readonly link: RedisLink;
  readonly retentionOf: (topic: string) => Retention;
  readonly log: Log;
  readonly nowMs: () => number;
}

export interface RedisBrokerSettings {
  readonly keyPrefix: string;
  /** How long the outcome of an append whose answer was lost is looked for. */
  readonly outcomeLimitMs: number;
  /** Replicas of Redis that have to have an append before it is acknowledged; 0: none. */
  readonly waitReplicas: number;
}

/** The meta hash outlives its log by this, so that positions stay truthful a little longer than history. */
const metaGraceMs = 60_000;
const resolveRetryMs = 50;
const waitReplicasMs = 1000;

/**
 * The log in Redis: one Lua script per batch, see `lua/append.lua`. All keys of a topic share the hash tag `{topic}`.
 *
 * The epoch is bound to the Redis process: a script that finds that another process wrote last goes on under a new epoch.
 */
export class RedisBroker implements Broker {
  private readonly appendScript = new RedisScript('append');
  private readonly resolveScript = new RedisScript('resolve');
  private readonly readScript = new RedisScript('read');
  /** Names this process to the scripts; a replica that restarts is another writer. */
  private readonly writer = randomBytes(6).toString('base64url');
  private batchNumber = 0;
  private readonly epochPrefix = randomBytes(6).readUIntBE(0, 6).toString(36).padStart(7, '0').slice(-7);
  private epochNumber = 0;
  private listener: BrokerListener | undefined;
  private closed = false;

  constructor(
    private readonly dependencies: RedisBrokerDependencies,
    private readonly settings: RedisBrokerSettings,
  ) {
    const { link } = dependencies;
    link.onState((state) => this.listener?.onState(state));
    link.onResubscribed(() => this.listener?.onResync());
  }

  get state(): BrokerState {
    return this.dependencies.link.state;
  }

  get durability(): Durability {
    if (this.dependencies.link.redis?.fsyncAlways === true) return 'fsynced';
    return this.settings.waitReplicas > 0 ? 'replicated' : 'stored';
  }

  setListener(listener: BrokerListener): void {
    this.listener = listener;
  }

  async append(topic: string, entries: readonly AppendEntry[]): Promise<AppendReceipt[]> {
    const { link, retentionOf, nowMs } = this.dependencies;
    const { redis } = link;
    if (redis === undefined) throw link.unavailable();
    const retention = retentionOf(topic);
    const number = ++this.batchNumber;
    const keys = [this.key(topic, 'log'), this.key(topic, 'meta')];
    let lengths = '';
    let keyed = '';
    entries.forEach((item, i) => {
      lengths += i === 0 ? item.entry.length : ` ${item.entry.length}`;
      if (item.key === undefined) return;
      keys.push(this.key(topic, `k:${item.key}`));
      keyed += `${i + 1}:${item.id} `;
    });
    const blob = entries.length === 1 ? entries[0]!.entry : Buffer.concat(entries.map((item) => item.entry));
    const { historySize, historyTtlMs, idempotencyMs } = retention;
    const common = `${redis.runId} ${this.freshEpoch()} ${this.writer} ${number} ${nowMs()} ${historySize} ${historyTtlMs} ${idempotencyMs} ${historyTtlMs + metaGraceMs}`;
    const args: RedisArgument[] = [common, this.channel(topic), lengths, blob, keyed];
    let reached: Promise<boolean> | undefined;
    // WAIT goes right behind the script, in the same pipeline; it speaks of the last sending, the one that was run.
    const behind = this.settings.waitReplicas > 0 ? () => void (reached = this.replicated()) : undefined;
    let answer: string;
    try {
      answer = await this.appendScript.run<string>(link, keys, args, 'strings', behind);
    } catch (error) {
      if (!(error instanceof LostAnswerError)) throw this.refusal(error);
      reached = undefined;
      answer = await this.resolve(topic, number);
    }
    if (answer === 'stale' || answer === 'cancelled') throw link.unavailable();
    const onReplicas = reached !== undefined && (await reached);
    const durability: Durability = redis.fsyncAlways ? 'fsynced' : onReplicas ? 'replicated' : 'stored';
    return readReceipts(answer, entries, durability);
  }

  async read(topic: string, after: number, limit: number): Promise<LogSlice> {
    return this.readLog(topic, 'after', after, limit);
  }

  async readLast(topic: string, limit: number): Promise<LogSlice> {
    const { end, entries } = await this.readLog(topic, 'last', 0, limit);
    return { end, entries: [...entries].reverse() };
  }

  ends(topics: readonly string[]): Promise<LogEnd[]> {
    return Promise.all(topics.map(async (topic) => (await this.readLog(topic, 'end', 0, 0)).end));
  }

  follow(topic: string): Promise<void> {
    return this.dependencies.link.subscribe(this.channel(topic), (message) =>
      this.listener?.onBatch(decodeBatch(topic, message)),
    );
  }

  unfollow(topic: string): Promise<void> {
    return this.dependencies.link.unsubscribe(this.channel(topic));
  }

  async remove(topic: string, sequences: readonly number[]): Promise<number> {
    if (sequences.length === 0) return 0;
    return this.command<number>([
      'XDEL',
      this.key(topic, 'log'),
      ...sequences.map((sequence) => `${sequence}-0`),
    ]);
  }

  async purge(topic: string): Promise<number> {
    return this.command<number>(['XTRIM', this.key(topic, 'log'), 'MAXLEN', '0']);
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  private key(topic: string, part: string): string {
    return `${this.settings.keyPrefix}:{${topic}}:${part}`;
  }

  private channel(topic: string): string {
    return `${this.settings.keyPrefix}:{${topic}}`;
  }

  /** Proposes an epoch that no script was given before: random for this process, then counted. Epochs are compared, never ordered. */
  private freshEpoch(): string {
    return this.epochPrefix + (this.epochNumber++).toString(36);
  }

  private async readLog(
    topic: string,
    what: 'end' | 'after' | 'last',
    after: number,
    limit: number,
  ): Promise<LogSlice> {
    const { link, retentionOf, nowMs } = this.dependencies;
    if (link.redis === undefined) throw link.unavailable();
    const retention = retentionOf(topic);
    const args = [
      link.redis.runId,
      this.freshEpoch(),
      String(retention.historyTtlMs + metaGraceMs),
      what,
      String(after),
      String(limit),
      String(nowMs()),
      String(retention.historySize),
    ];
    try {
      const keys = [this.key(topic, 'log'), this.key(topic, 'meta')];
      return readSlice(await this.readScript.run<ReadReply>(link, keys, args, 'buffers'));
    } catch (error) {
      throw this.refusal(error);
    }
  }

  /** Asks what became of a batch until it is known. */
  private async resolve(topic: string, number: number): Promise<string> {
    const { link, nowMs, retentionOf } = this.dependencies;
    const until = performance.now() + this.settings.outcomeLimitMs;
    while (!this.closed && performance.now() < until) {
      try {
        const ttl = String(retentionOf(topic).historyTtlMs + metaGraceMs);
        const args = [this.writer, String(number), String(nowMs()), ttl];
        return await this.resolveScript.run<string>(link, [this.key(topic, 'meta')], args);
      } catch {
        await new Promise((wake) => setTimeout(wake, resolveRetryMs));
      }
    }
    throw new RefusalError('outcome_unknown', `Redis was lost while a message to ${topic} was being stored`, {
      retryAfterMs: link.state === 'up' ? 0 : 1000,
    });
  }

  private replicated(): Promise<boolean> {
    const { link } = this.dependencies;
    const { waitReplicas } = this.settings;
    return link.call<number>(['WAIT', String(waitReplicas), String(waitReplicasMs)]).then(
      (replicas) => replicas >= waitReplicas,
      () => false,
    );
  }

  private async command<Reply>(args: string[]): Promise<Reply> {
    try {
      return await this.dependencies.link.call<Reply>(args);
    } catch (error) {
      throw this.refusal(error);
    }
  }

  /** What a caller is told; an error of Redis itself (out of memory, read-only replica) also means that nothing was stored. */
  private refusal(error: unknown): unknown {
    if (error instanceof RefusalError) return error;
    this.dependencies.log.warn('Redis refused a command', { error });
    return this.dependencies.link.unavailable(error);
  }
}

type ReadReply = [Buffer, number, number, Buffer, [Buffer, [Buffer, Buffer]][]];

function readSlice([epoch, sequence, firstSequence, previous, rows]: ReadReply): LogSlice {
  const entries = rows.map(([id, fields]): LogEntry => ({
    sequence: parseInt(id.toString('latin1'), 10),
    entry: fields[1],
  }));
  return {
    end: { epoch: epoch.toString(), sequence, firstSequence, previous: decodePrevious(previous.toString()) },
    entries,
  };
}

function readReceipts(
  answer: string,
  entries: readonly AppendEntry[],
  durability: Durability,
): AppendReceipt[] {
  const [epoch, receiverCount, first, ...words] = answer.split(' ');
  const receivers = Number(receiverCount);
  let next = Number(first);
  return entries.map(({ id }, i): AppendReceipt => {
    const word = words[i];
    // Written out: spreading what is common costs several times as much as all the rest here.
    if (word === undefined || word === '+')
      return { id, epoch: epoch!, sequence: next++, duplicate: false, durability, receivers };
    const [sequence, earlierEpoch, firstId] = word.split(':');
    return {
      id: firstId!,
      epoch: earlierEpoch!,
      sequence: Number(sequence),
      duplicate: true,
      durability,
      receivers,
    };
  });
}
