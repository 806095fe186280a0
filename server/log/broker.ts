import type { RefusalError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';

/** How far an acknowledged message has got; the names are those of promise P3. */
export type Durability = 'memory' | 'stored' | 'replicated' | 'fsynced';

/** A message to be appended, already encoded (see `entry.ts`). */
export interface AppendEntry {
  /** UUIDv7 of the message. */
  readonly id: string;
  /** The encoded entry; every replica gets exactly these bytes. A log may put the same bytes of another buffer in its place. */
  entry: Buffer;
  /** Idempotency key. A repetition gets the position of the first message. */
  readonly key?: string;
  /** The sender to whom the key belongs: others may use the same one. Undefined: it belongs to the topic. */
  readonly keyOwner?: string;
  /**
   * Set if the message must not be the first one of its log: makes the refusal. It is stored all the same if
   * another message of its batch creates the log.
   */
  readonly noNewTopic?: () => RefusalError;
}

/** The result of one {@link AppendEntry}. */
export interface AppendReceipt extends Position {
  /** Id of the message in the log; of the first message if this is a `duplicate`. */
  readonly id: string;
  readonly duplicate: boolean;
  readonly durability: Durability;
  /**
   * Number of replicas on which the topic was active when the batch was published, if the driver can count
   * them.
   */
  readonly receivers?: number;
  /** What an inbox holds after the append. */
  readonly held?: LogSize;
  /**
   * Set if the message was refused by itself and is not in the log; then position and durability mean
   * nothing.
   */
  readonly refusal?: RefusalError;
}

/** What a log holds. */
export interface LogSize {
  readonly messages: number;
  /** Undefined: not known without reading them, as in a log that is no inbox. */
  readonly bytes: number | undefined;
}

/** The end of a log, and the range of messages still stored. */
export interface LogEnd extends Position {
  /** Sequence of the oldest message still stored; `sequence + 1` if none is stored. */
  readonly firstSequence: number;
  /**
   * Ends of the earlier epochs that this log continues, newest first, at most 64. A position
   * `{epoch: e, sequence: n}` is in this log if `e` is the current epoch and `n <= sequence`, or if
   * `{epoch: e, sequence: m}` is listed here and `n <= m`.
   */
  readonly previous: readonly Position[];
}

/** Consecutive messages of one topic, as a replica receives them live. */
export interface Batch {
  readonly topic: string;
  readonly epoch: string;
  readonly firstSequence: number;
  readonly entries: readonly Buffer[];
}

/** A message read from the log. */
export interface LogEntry {
  readonly sequence: number;
  readonly entry: Buffer;
}

/** The result of {@link Broker.read}, consistent with `end`, which was read in the same atomic step. */
export interface LogSlice {
  readonly end: LogEnd;
  /** In order of sequence. Sequences may be missing only where messages were removed or trimmed. */
  readonly entries: readonly LogEntry[];
  /** Fewer messages than the limit, because of the limit in bytes: a further read returns more. */
  readonly truncated: boolean;
}

/** Limit in bytes of a read that gives none. */
export const readLimitBytes = 1_048_576;

/**
 * The end of a log is kept longer than its history by this, in milliseconds, so that positions remain valid for a while
 * after the history.
 */
export const positionGraceMs = 60_000;

/** The room in a log that is never trimmed: appends over it are refused with `quota_exceeded`. */
export interface InboxShares {
  readonly bytes: number;
  /** Messages of one sender. */
  readonly senderMessages: number;
  /** Bytes of one sender. */
  readonly senderBytes: number;
  /** Called with each refusal. */
  readonly onRefused?: () => void;
  /** Called with messages that were refused because the log is full, see `Retention.fullAt`. */
  readonly onFull?: (messages: number) => void;
}

/** How much of a topic's log is kept, and for how long. */
export interface Retention {
  /** Number of newest messages kept. 0 keeps none (positions and order remain). */
  readonly historySize: number;
  /**
   * With this many messages stored, appends are refused with `busy`, so that no unread message is lost. 0:
   * the oldest messages are removed instead.
   */
  readonly fullAt: number;
  /** The same in bytes, and for the messages of one sender. Undefined: no such limits. */
  readonly shares?: InboxShares;
  /** The log expires this long after the last append. */
  readonly historyTtlMs: number;
  /** An idempotency key is kept for this long. */
  readonly idempotencyMs: number;
}

/** `up`: commands are answered. `down`: not connected, or connected without answers (stalled). */
export type BrokerState = 'up' | 'down';

/** Receives the events of a broker. The only implementation is the topic hub. */
export interface BrokerListener {
  /**
   * A batch of a followed topic. Batches of one topic arrive in log order, each at most once on one
   * connection to the store. After an interruption some may be missing; then {@link onResync} is called.
   */
  onBatch(batch: Batch): void;
  onState(state: BrokerState): void;
  /**
   * Live batches may have been missed: the position of every followed topic must be compared with the log's
   * end.
   */
  onResync(): void;
}

/**
 * The contract of the ordered log. `test/contract/log/broker.test.ts` runs the same tests on every driver.
 *
 * Ordering: appends of one topic, from all replicas, form one order without holes, counted by `sequence` from
 * 1 in a new log. A log that survived but may have lost its tail (Redis has another history than at the last
 * append, or this replica has seen a later position) continues under a new epoch, at the next sequence, and lists
 * the old epoch in `previous`. A log that is gone begins a new epoch at 1.
 *
 * Atomicity: a batch is appended whole or not at all, and is published to followers in the same step. Only a
 * message whose sender has used up a share ({@link InboxShares}) or may create no log is left out; its receipt
 * has a `refusal`.
 * `append` settles only when its outcome is certain:
 *
 * - It resolves when the whole batch is in the log.
 * - It rejects with `RefusalError('unavailable')` only if nothing of the batch is in the log or ever will be.
 * - It rejects with `RefusalError('outcome_unknown')` if the outcome could not be determined within the time
 *   limit.
 * - It rejects with `RefusalError('busy')` if the log is full (`Retention.fullAt`); nothing is stored. If the
 *   batch repeats keys that are known, it resolves with their positions, and the other messages are refused.
 *
 * The topic actor makes sure that each replica has at most one append per topic in progress.
 */
export interface Broker {
  readonly state: BrokerState;
  /** Whether appends to several topics that start together share a call, so that it pays to gather them. */
  readonly sharesAppends: boolean;
  setListener(listener: BrokerListener): void;
  append(topic: string, entries: readonly AppendEntry[]): Promise<AppendReceipt[]>;
  /**
   * Up to `limit` messages with a sequence greater than `after`, oldest first. Their entries have at most
   * `limitBytes` together (default {@link readLimitBytes}); a first message that is larger comes alone.
   */
  read(topic: string, after: number, limit: number, limitBytes?: number): Promise<LogSlice>;
  /**
   * The newest `limit` messages, or the newest with a sequence smaller than `before`; oldest first. The limit
   * in bytes applies from the newest one on.
   */
  readLast(topic: string, limit: number, limitBytes?: number, before?: number): Promise<LogSlice>;
  /** Ends of several logs in one round trip. A log that does not exist gets an epoch, at sequence 0. */
  ends(topics: readonly string[]): Promise<LogEnd[]>;
  /** How much several logs hold, without reading them. */
  sizes(topics: readonly string[]): Promise<LogSize[]>;
  /**
   * Begins to receive a topic's batches. Resolves when no batch published from now on can be missed.
   * Idempotent.
   */
  follow(topic: string): Promise<void>;
  unfollow(topic: string): Promise<void>;
  /**
   * Removes single messages from the log; their sequences stay used. With an epoch, only those that were
   * appended in it: another log may have other messages with the same sequences.
   */
  remove(topic: string, sequences: readonly number[], epoch?: string): Promise<number>;
  /** Empties the log; the position stays. Resolves to the number of removed messages. */
  purge(topic: string): Promise<number>;
  close(): Promise<void>;
}
