import type { Position } from '../../shared/position.js';
import type { Batch, Broker, LogEnd, LogEntry, LogSlice } from '../../server/log/broker.js';
import { epochAt, isPositionIn } from '../../server/log/lineage.js';

interface LogState {
  readonly epoch: string;
  readonly previous: readonly Position[];
  readonly sequence: number;
  readonly entries: readonly LogEntry[];
}

/** A call that waits for an answer from the test. */
interface HeldCall {
  /** Answers with the state of the log at the time of the call. */
  readonly early: () => void;
  /** Answers with the present state of the log. */
  readonly late: () => void;
  readonly fail: (error: Error) => void;
}

const previousMax = 8;

/**
 * A log of one topic that can do what a log in Redis can: answer late or not at all, be trimmed, lose its
 * last messages, or lose everything. What it publishes goes to {@link published}; the test decides whether it
 * is passed on.
 */
export class ScriptedLog {
  readonly published: Batch[] = [];
  readonly calls: HeldCall[] = [];
  /** Whether calls are answered only when the test says so. */
  holdsCalls = false;
  private epochs = 1;
  /** What each epoch continues. */
  private readonly previousOf = new Map<string, readonly Position[]>([['e1', []]]);
  private state: LogState = { epoch: 'e1', previous: [], sequence: 0, entries: [] };
  /** Earlier states, to which a restored Redis returns. */
  private readonly earlier: LogState[] = [];
  /** Messages that were missing for a time; a restored Redis may have them again. */
  private readonly removed = new Set<string>();

  /** `entryOf` makes the entry of a message; by default its text is `epoch:sequence`. */
  constructor(
    readonly topic = 't',
    private readonly entryOf = (epoch: string, sequence: number): Buffer =>
      Buffer.from(`${epoch}:${sequence}`),
  ) {}

  get broker(): Broker {
    return {
      state: 'up',
      read: (_topic: string, after: number, limit: number) => this.answer(() => this.slice(after, limit)),
      ends: () => this.answer(() => [this.end]),
      follow: () => Promise.resolve(),
      unfollow: () => Promise.resolve(),
    } as unknown as Broker;
  }

  /** Number of epochs so far. */
  get epochCount(): number {
    return this.epochs;
  }

  get end(): LogEnd {
    const { epoch, sequence, previous, entries } = this.state;
    return { epoch, sequence, previous, firstSequence: entries[0]?.sequence ?? sequence + 1 };
  }

  /** Whether the log has held this message since its append, so that every read must find it. */
  alwaysHeld(epoch: string, sequence: number): boolean {
    const { entries } = this.state;
    const held = entries.some((item) => item.sequence === sequence) && epochAt(this.end, sequence) === epoch;
    return held && !this.removed.has(`${epoch}:${sequence}`);
  }

  /** Whether one log has had both a position and a message, so that a reader may get the message there without a gap. */
  isContinued(at: Position, message: Position): boolean {
    const hasHad = ({ epoch }: Position, position: Position) =>
      isPositionIn({ epoch, sequence: Infinity, previous: this.previousOf.get(epoch)! }, position);
    return hasHad(message, at) || hasHad(at, message);
  }

  append(count: number): Batch {
    this.earlier.push(this.state);
    const { epoch, sequence } = this.state;
    const added = Array.from({ length: count }, (_, n): LogEntry => {
      const next = sequence + 1 + n;
      return { sequence: next, entry: this.entryOf(epoch, next) };
    });
    this.state = {
      ...this.state,
      sequence: sequence + count,
      entries: [...this.state.entries, ...added],
    };
    const entries = added.map(({ entry }) => entry);
    const batch = { topic: this.topic, epoch, firstSequence: sequence + 1, entries };
    this.published.push(batch);
    return batch;
  }

  /** Keeps only the newest messages. */
  trim(keep: number): void {
    const { entries } = this.state;
    const first = Math.max(0, entries.length - keep);
    this.keep((_item, n) => n >= first);
  }

  /** Removes one message, as inboxes do. */
  remove(sequence: number): void {
    this.keep((item) => item.sequence !== sequence);
  }

  /** Loses the last appends and all other changes since; the log continues under a new epoch. */
  rollBack(appends: number): void {
    const at = Math.max(0, this.earlier.length - appends);
    const restored = appends === 0 ? this.state : (this.earlier[at] ?? this.state);
    if (appends > 0) this.earlier.length = Math.min(this.earlier.length, at);
    const end = { epoch: restored.epoch, sequence: restored.sequence };
    const previous = [end, ...restored.previous].slice(0, previousMax);
    this.state = { ...restored, epoch: this.nextEpoch(previous), previous };
  }

  /** Loses the whole log. */
  lose(): void {
    this.earlier.length = 0;
    this.state = { epoch: this.nextEpoch([]), previous: [], sequence: 0, entries: [] };
  }

  private keep(isKept: (item: LogEntry, n: number) => boolean): void {
    const { entries } = this.state;
    for (const item of entries.filter((entry, n) => !isKept(entry, n)))
      this.removed.add(`${epochAt(this.end, item.sequence)}:${item.sequence}`);
    this.state = { ...this.state, entries: entries.filter(isKept) };
  }

  private nextEpoch(previous: readonly Position[]): string {
    const epoch = `e${++this.epochs}`;
    this.previousOf.set(epoch, previous);
    return epoch;
  }

  private slice(after: number, limit: number): LogSlice {
    const entries = this.state.entries.filter(({ sequence }) => sequence > after).slice(0, limit);
    return { end: this.end, entries, truncated: false };
  }

  private answer<Value>(read: () => Value): Promise<Value> {
    if (!this.holdsCalls) return Promise.resolve(read());
    const atCall = read();
    return new Promise((resolve, reject) => {
      this.calls.push({ early: () => resolve(atCall), late: () => resolve(read()), fail: reject });
    });
  }
}
