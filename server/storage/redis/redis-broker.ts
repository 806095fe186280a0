import { randomBytes } from 'node:crypto';
import { RefusalError } from '../../../shared/errors.js';
import type { StoreMemory } from '../../limits/store-memory.js';
import type { Log } from '../../logging/log.js';
import { positionGraceMs, readLimitBytes } from '../../log/broker.js';
import type {
  AppendEntry,
  AppendReceipt,
  Broker,
  BrokerListener,
  BrokerState,
  LogEnd,
  LogEntry,
  LogSize,
  LogSlice,
  Retention,
} from '../../log/broker.js';
import { decodeBatch, decodePrevious } from './batch-codec.js';
import { RedisAppends } from './redis-appends.js';
import { ResponseLostError } from './redis-commands.js';
import { RedisScript } from './redis-script.js';
import type { RedisNode, RedisStore } from './redis-store.js';
import { RefusedCommands } from './refused-commands.js';
import { SeenPositions } from './seen-positions.js';
import { TopicKeys } from './topic-keys.js';

interface RedisBrokerDependencies {
  readonly link: RedisStore;
  readonly retentionOf: (topic: string) => Retention;
  /** The memory of Redis; undefined: it is not observed. */
  readonly memory?: StoreMemory | undefined;
  readonly log: Log;
  readonly now: () => number;
}

interface RedisBrokerSettings {
  readonly keyPrefix: string;
  /** See `database.ts`. */
  readonly channelMark?: string;
  /** The outcome of an append whose response was lost is looked up for this long. */
  readonly outcomeLimitMs: number;
  /** Redis replicas that must hold an append before it is acknowledged as `replicated`; 0: none. */
  readonly waitReplicas: number;
  /** A topic without messages is kept at least this long after its last use: several times the interval of position checks. */
  readonly unusedKeepMs: number;
  /** Appends that fewer replicas hold are refused. Default: they are acknowledged as `stored`. */
  readonly waitReplicasStrict?: boolean;
}

/**
 * The log in Redis: one Lua script per batch, see `lua/append.lua`. All keys of a topic share the hash tag
 * `{topic}`.
 *
 * An epoch is bound to a history of Redis: if the last write belongs to another one, or the log is shorter than
 * this replica has seen it, it goes on under a new epoch. See `lua/includes/epoch.lua`.
 */
export class RedisBroker implements Broker {
  private readonly readScript = new RedisScript('read');
  private readonly removeScript = new RedisScript('inbox-remove');
  private readonly keys: TopicKeys;
  private readonly seen = new SeenPositions();
  readonly sharesAppends = true;
  private readonly refusedCommands: RefusedCommands;
  private readonly appends: RedisAppends;
  private readonly epochPrefix = randomBytes(6).readUIntBE(0, 6).toString(36).padStart(7, '0').slice(-7);
  private epochNumber = 0;
  private listener: BrokerListener | undefined;

  constructor(
    private readonly dependencies: RedisBrokerDependencies,
    private readonly settings: RedisBrokerSettings,
  ) {
    const { link, retentionOf, log, now } = dependencies;
    const { outcomeLimitMs, waitReplicas, waitReplicasStrict = false } = settings;
    this.keys = new TopicKeys(settings.keyPrefix, settings.channelMark, link.isCluster);
    this.refusedCommands = new RefusedCommands(log);
    this.appends = new RedisAppends(
      {
        link,
        keys: this.keys,
        seen: this.seen,
        retentionOf,
        freshEpoch: () => this.freshEpoch(),
        refusal: (error, topic) => this.refusal(error, topic),
        log,
        now,
      },
      { outcomeLimitMs, waitReplicas, waitReplicasStrict },
    );
    link.onState((state) => this.listener?.onState(state));
    link.onResubscribed(() => this.listener?.onResync());
  }

  get state(): BrokerState {
    return this.dependencies.link.state;
  }

  setListener(listener: BrokerListener): void {
    this.listener = listener;
  }

  append(topic: string, entries: readonly AppendEntry[]): Promise<AppendReceipt[]> {
    return this.appends.append(topic, entries);
  }

  read(topic: string, after: number, limit: number, limitBytes: number = readLimitBytes): Promise<LogSlice> {
    return this.readLog(topic, 'after', after, { limit, limitBytes });
  }

  async readLast(
    topic: string,
    limit: number,
    limitBytes: number = readLimitBytes,
    before?: number,
  ): Promise<LogSlice> {
    const { entries, ...slice } = await this.readLog(topic, 'last', before ?? 0, { limit, limitBytes });
    return { ...slice, entries: [...entries].reverse() };
  }

  ends(topics: readonly string[]): Promise<LogEnd[]> {
    return Promise.all(topics.map(async (topic) => (await this.readLog(topic, 'end', 0, nothing)).end));
  }

  sizes(topics: readonly string[]): Promise<LogSize[]> {
    return Promise.all(topics.map((topic) => this.sizeOf(topic)));
  }

  follow(topic: string): Promise<void> {
    const onMessage = (message: Buffer) => {
      const batch = decodeBatch(topic, message);
      this.seen.note(topic, batch.epoch, batch.firstSequence + batch.entries.length - 1);
      this.listener?.onBatch(batch);
    };
    return this.dependencies.link.subscribe(this.keys.channel(topic), onMessage, 'slot');
  }

  unfollow(topic: string): Promise<void> {
    return this.dependencies.link.unsubscribe(this.keys.channel(topic));
  }

  async remove(topic: string, sequences: readonly number[], epoch = ''): Promise<number> {
    if (sequences.length === 0) return 0;
    const keys = [this.keys.log(topic), this.keys.shares(topic), this.keys.meta(topic)];
    const args = [epoch, ...sequences.map(String)];
    try {
      return await this.removeScript.run<number>(this.dependencies.link, keys, args);
    } catch (error) {
      throw this.refusal(error, topic);
    }
  }

  async purge(topic: string): Promise<number> {
    const { link } = this.dependencies;
    try {
      return await link.call<number>(['XTRIM', this.keys.log(topic), 'MAXLEN', '0']);
    } catch (error) {
      throw error instanceof ResponseLostError ? link.outcomeUnknown(error) : this.refusal(error, topic);
    }
  }

  async close(): Promise<void> {
    this.appends.close();
  }

  private async sizeOf(topic: string): Promise<LogSize> {
    const { link } = this.dependencies;
    try {
      const [messages, [counted, bytes]] = await Promise.all([
        link.call<number>(['XLEN', this.keys.log(topic)]),
        link.call<(string | null)[]>(['HMGET', this.keys.shares(topic), 'n', 'b']),
      ]);
      if (messages === 0) return { messages, bytes: 0 };
      // A purge leaves the counts behind, until the next message.
      return { messages, bytes: Number(counted) === messages ? Number(bytes) : undefined };
    } catch (error) {
      throw this.refusal(error, topic);
    }
  }

  /**
   * Proposes an epoch that was never proposed before: a random prefix for this process, then a counter.
   * Epochs are compared for equality, never ordered.
   */
  private freshEpoch(): string {
    return this.epochPrefix + (this.epochNumber++).toString(36);
  }

  private async readLog(
    topic: string,
    what: 'end' | 'after' | 'last',
    from: number,
    { limit, limitBytes }: ReadLimits,
  ): Promise<LogSlice> {
    const { link, memory } = this.dependencies;
    try {
      const reply = await link.at(this.keys.log(topic), (node) =>
        this.readAt(node, topic, what, from, { limit, limitBytes }),
      );
      if (reply.length === 0) throw memory?.refusal() ?? link.unavailable();
      const slice = readSlice(reply);
      this.seen.noteEnd(topic, slice.end);
      return slice;
    } catch (error) {
      throw this.refusal(error, topic);
    }
  }

  private async readAt(
    node: RedisNode,
    topic: string,
    what: 'end' | 'after' | 'last',
    from: number,
    { limit, limitBytes }: ReadLimits,
  ): Promise<ReadReply | []> {
    const { link, retentionOf, memory, now } = this.dependencies;
    if (node.redis === undefined) throw link.unavailable();
    const retention = retentionOf(topic);
    const args = [
      `${node.redis.runId} ${node.redis.histories.join()} ${this.seen.of(topic)}`,
      this.freshEpoch(),
      String(retention.historyTtlMs + positionGraceMs),
      what,
      String(from),
      String(limit),
      String(now()),
      String(retention.historySize),
      String(limitBytes),
      memory?.mayCreate === false ? '0' : '1',
      String(this.settings.unusedKeepMs),
    ];
    const keys = [this.keys.log(topic), this.keys.meta(topic)];
    return this.readScript.run<ReadReply | []>(node, keys, args, 'buffers');
  }

  /**
   * Converts an error for the caller. An error of Redis itself (out of memory, read-only replica) also means
   * that nothing was stored.
   */
  private refusal(error: unknown, topic: string): unknown {
    if (error instanceof RefusalError) return error;
    const { memory } = this.dependencies;
    if (memory !== undefined && error instanceof Error && outOfMemory.test(error.message)) {
      memory.outOfMemory();
      return memory.refusal();
    }
    const { link } = this.dependencies;
    if (error instanceof ResponseLostError || !(error instanceof Error)) return link.unavailable(error);
    this.refusedCommands.report(error, { topic });
    return link.refused(error);
  }
}

interface ReadLimits {
  readonly limit: number;
  readonly limitBytes: number;
}

/** In older versions of Redis it appears inside the error of a script. */
const outOfMemory = /\bOOM\b/;

const nothing: ReadLimits = { limit: 0, limitBytes: 0 };

type ReadReply = [Buffer, number, number, Buffer, [Buffer, [Buffer, Buffer]][], number];

function readSlice([epoch, sequence, firstSequence, previous, rows, truncated]: ReadReply): LogSlice {
  const entries = rows.map(([id, fields]): LogEntry => ({
    sequence: parseInt(id.toString('latin1'), 10),
    entry: fields[1],
  }));
  return {
    end: { epoch: epoch.toString(), sequence, firstSequence, previous: decodePrevious(previous.toString()) },
    entries,
    truncated: truncated === 1,
  };
}
