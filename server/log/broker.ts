import type { Position } from '../../shared/position.js';

/** How far an acknowledged message has got; the names are those of promise P3. */
export type Durability = 'memory' | 'stored' | 'replicated' | 'fsynced';

/** A message to be appended, already encoded (see `entry.ts`). */
export interface AppendEntry {
  /** UUIDv7 of the message. */
  readonly id: string;
  /** The encoded entry; every replica gets exactly these bytes. */
  readonly entry: Buffer;
  /** Idempotency key, unique per topic; a repetition answers with the first one's position. */
  readonly key?: string;
}

/** What became of one {@link AppendEntry}. */
export interface AppendReceipt extends Position {
  /** Id of the message in the log: the first one's where `duplicate`. */
  readonly id: string;
  readonly duplicate: boolean;
  readonly durability: Durability;
  /** Replicas that carried the topic when the batch was published, if the driver knows. */
  readonly receivers?: number;
}

/** The end of a log, and what is still in it. */
export interface LogEnd extends Position {
  /** Sequence of the oldest message still stored; `sequence + 1` when none is. */
  readonly firstSequence: number;
  /**
   * Ends of the earlier epochs that this log continues, newest first, at most 8. A position `{epoch: e, sequence: n}` is a
   * place in this log if `e` is the current epoch and `n <= sequence`, or if `{epoch: e, sequence: m}` is listed here and `n <= m`.
   */
  readonly previous: readonly Position[];
}

/** Consecutive messages of one topic, as a replica receives them live. */
export interface Batch {
  readonly topic: string;
  readonly epoch: string;
  readonly firstSequence: number;
  readonly previous: readonly Position[];
  readonly entries: readonly Buffer[];
}

/** A message read from the log. */
export interface LogEntry {
  readonly sequence: number;
  readonly entry: Buffer;
}

/** An answer of {@link Broker.read}: consistent with `end`, which was read in the same atomic step. */
export interface LogSlice {
  readonly end: LogEnd;
  /** In order of sequence. Sequences may be missing only where messages were removed or trimmed. */
  readonly entries: readonly LogEntry[];
}

/** How long a topic's log keeps what. */
export interface Retention {
  /** Newest messages kept. 0 keeps none (positions and order remain). */
  readonly historySize: number;
  /** With this many stored, appends are refused with `busy`, so that nothing is lost that nobody has read. 0: the oldest make room. */
  readonly fullAt: number;
  /** The log expires this long after the last append. */
  readonly historyTtlMs: number;
  /** How long an idempotency key is remembered. */
  readonly idempotencyMs: number;
}

/** `up`: commands are answered. `down`: not connected, or connected but not answering (stalled). */
export type BrokerState = 'up' | 'down';

/** What a broker tells its one user, the topic hub. */
export interface BrokerListener {
  /**
   * A batch of a followed topic. Batches of one topic come in log order, each at most once while the connection holds;
   * after an interruption some may be missing, which {@link onResync} announces.
   */
  onBatch(batch: Batch): void;
  onState(state: BrokerState): void;
  /** Live traffic may have been missed: every followed topic's position has to be compared with the log's end. */
  onResync(): void;
}

/**
 * The contract of the ordered log. `test/contract/broker.ts` runs the same suite on every driver.
 *
 * Ordering: appends of one topic, from all replicas, form one order, without holes, counted by `sequence` from 1 within a new
 * log. A log that survived with a possible loss of its tail (another Redis process answers than at the last append) goes on under a
 * new epoch, at the next sequence, and lists the old epoch in `previous`; a log that is gone begins a new epoch at 1.
 *
 * Atomicity: a batch is appended whole or not at all, and is published to followers in the same step. `append` settles only
 * when its outcome is certain: it resolves when all of it is in the log; it rejects with
 * `RefusalError('unavailable')` only when nothing of it is or ever will be there; and with `RefusalError('outcome_unknown')` when
 * the outcome could not be learned within the limit; with `busy` where the log is full (`Retention.fullAt`), and nothing is stored. There is at most one append per topic in flight from one replica: the topic
 * actor's duty.
 */
export interface Broker {
  readonly state: BrokerState;
  setListener(listener: BrokerListener): void;
  append(topic: string, entries: readonly AppendEntry[]): Promise<AppendReceipt[]>;
  /** Up to `limit` messages with a sequence greater than `after`, oldest first. */
  read(topic: string, after: number, limit: number): Promise<LogSlice>;
  /** The newest `limit` messages, oldest first. */
  readLast(topic: string, limit: number): Promise<LogSlice>;
  /** Ends of several logs in one round trip. A log that does not exist is given an epoch, at sequence 0. */
  ends(topics: readonly string[]): Promise<LogEnd[]>;
  /** Begins to receive a topic's batches; resolved once none published from now on can be missed. Idempotent. */
  follow(topic: string): Promise<void>;
  unfollow(topic: string): Promise<void>;
  /** Takes single messages out of the log; their sequences stay used. */
  remove(topic: string, sequences: readonly number[]): Promise<number>;
  /** Empties the log; the position stays. Resolves to the number of messages removed. */
  purge(topic: string): Promise<number>;
  close(): Promise<void>;
}
