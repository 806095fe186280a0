import type { Message } from '../shared/message.js';
import type { Position } from '../shared/position.js';

/** What is lost: messages after `from`, up to and including `to`. */
export interface Gap {
  readonly topic: string;
  /** The last message before the loss. */
  readonly from: Position;
  /** The stream goes on after this position. */
  readonly to: Position;
  /** As in `gap` events of the service; `unreadable` if the history may not be read. */
  readonly reason: string;
}

/** The answer of `subscribe` for one topic. */
export interface Joined extends Position {
  /** Where the service was asked to begin; undefined: at the end of the log. */
  readonly since: Position | undefined;
  readonly recovered?: boolean | undefined;
}

/** A `gap` event of the service. */
export interface ServiceGap extends Position {
  readonly reason: string;
}

/** Stored messages, oldest first. */
export interface HistoryPage extends Position {
  readonly messages: readonly Message[];
  /** False if messages after the requested position, or between those of the page, are no longer stored. */
  readonly complete: boolean;
  /** More of them follow after this position. */
  readonly next?: Position | undefined;
}

export type HistoryRequest = { readonly since: Position } | { readonly last: number };

/** @internal */
export interface TopicStreamDependencies {
  /** Hands over messages: each once, in order. */
  readonly deliver: (messages: readonly Message[], replayed: boolean) => void;
  readonly lost: (gap: Gap) => void;
  /** Reads the history. The answer comes by `historyRead` or `unreadable`, unless the connection is lost before. */
  readonly readHistory: (request: HistoryRequest) => void;
}

const enum Phase {
  /** Not on the wire. */
  Offline,
  /** `subscribe` is not answered yet. */
  Joining,
  /** The history is being read. */
  Reading,
  Live,
  /** The app is behind. */
  Paused,
}

/** Messages that arrive during a read wait; beyond this number they are read from the history instead. */
const heldMax = 1000;
/** A batch of missed messages is handed over in parts of this size, so that memory is bounded. */
const batchMax = 10_000;
/** Epochs that a stream has left are remembered, so that late repetitions are recognised. */
const epochsMax = 16;
/** After so many reads that did not bring what a later message shows to exist, it is reported as lost. */
const vainReadsMax = 3;

/**
 * One topic as one subscriber follows it: turns what arrives on any number of connections into each message once, in
 * order. What does not follow the last message is a hole: it is read from the history, or else reported.
 *
 * Pure: no clock, no socket.
 */
export class TopicStream {
  private phase: Phase = Phase.Offline;
  private heldBack: (Message | ServiceGap)[] = [];
  /** More has arrived than was kept: it has to be read. */
  private overflowed = false;
  /** Missed messages, to be handed over as one batch. */
  private missed: Message[] = [];
  /** Missed messages end at this sequence; 0: what comes is live. */
  private missedUpTo = 0;
  /** Where the service goes on by itself, if what lies before cannot be read. */
  private goesOnAt: Position | undefined;
  private lossReason = 'history_trimmed';
  private vainReads = 0;
  /** The history has led to an epoch that the connection has not reached yet: what comes may be of logs that are gone. */
  private isAhead = false;
  private readonly leftEpochs: string[] = [];
  /** Id of the last message; ids of the service grow with time. */
  private lastId = '';

  /**
   * @param at the last message that was handed over; undefined: the stream has not begun
   * @param last a stream that begins hands over so many of the newest messages first
   */
  constructor(
    private readonly dependencies: TopicStreamDependencies,
    private readonly topic: string,
    public at: Position | undefined,
    private readonly last = 0,
  ) {}

  /** Whether missed messages wait for the rest of their batch. */
  get isCollecting(): boolean {
    return this.missed.length > 0;
  }

  /** A connection comes up. What arrives waits for the answer of `subscribe`. */
  joining(): void {
    if (this.phase === Phase.Offline) this.phase = Phase.Joining;
  }

  joined({ since, recovered, epoch, sequence }: Joined): void {
    if (this.phase !== Phase.Joining) return;
    const end = { epoch, sequence };
    this.goesOnAt = end;
    this.vainReads = 0;
    if (!this.at) {
      if (this.last > 0) return this.read({ last: this.last });
      this.at = end;
      return this.goLive();
    }
    const isCovered = since?.epoch === this.at.epoch && since.sequence <= this.at.sequence;
    if ((recovered && isCovered) || isSame(end, this.at)) {
      if (sequence > this.at.sequence) this.missedUpTo = sequence;
      return this.goLive();
    }
    this.lossReason = 'history_trimmed';
    this.read({ since: this.at });
  }

  /** By a gap the service announces a loss. What it did not write to this connection may still be in the history. */
  arrived(item: Message | ServiceGap): void {
    this.vainReads = 0;
    this.take(item);
  }

  /** The connection is lost. What has arrived of the missed messages is handed over. */
  disconnected(): void {
    this.endMissed();
    this.heldBack = [];
    this.isAhead = false;
    if (this.phase !== Phase.Paused) this.phase = Phase.Offline;
  }

  /** The app is behind: nothing more is handed over until `resume`. */
  pause(): void {
    if (this.phase !== Phase.Live && this.phase !== Phase.Reading) return;
    this.missedUpTo = 0;
    this.heldBack = [];
    this.phase = Phase.Paused;
  }

  /** The app has caught up. @param isJoined whether the topic is subscribed on the wire now */
  resume(isJoined: boolean): void {
    if (this.phase !== Phase.Paused) return;
    if (isJoined) this.readOn();
    else this.phase = Phase.Joining;
  }

  historyRead({ messages, complete, next, epoch, sequence }: HistoryPage): void {
    if (this.phase !== Phase.Reading) return;
    const end = { epoch, sequence };
    const { at } = this;
    const formerEpoch = at?.epoch;
    const first = at ? messages.find((message) => this.isNewInLog(message)) : messages[0];
    if (!at) this.at = first ? before(first) : end;
    else if (first) {
      this.vainReads = 0;
      // An incomplete page whose messages follow one another lacks some before its first message.
      if (!complete && !hasHole(messages)) this.skipTo(before(first));
    } else if (!next) {
      if (!complete) this.skipTo(end);
      else if (sequence === at.sequence) this.moveTo(end);
      if (isSame(this.at!, at)) this.vainReads++;
    }
    if (first) for (const message of messages) this.collect(message);
    if (this.at!.epoch !== formerEpoch) this.isAhead = this.at!.epoch !== this.goesOnAt?.epoch;
    if (this.is(Phase.Paused)) return this.hurry();
    if (next) return this.dependencies.readHistory({ since: next });
    this.endMissed();
    // The app may have fallen behind by this batch.
    if (this.is(Phase.Paused)) return;
    if (this.overflowed) return this.readOn();
    this.goLive();
  }

  /** The history cannot be read: what lies before the next known position is lost. */
  unreadable(): void {
    if (this.phase !== Phase.Reading) return;
    this.endMissed();
    if (!this.is(Phase.Reading)) return;
    const next = this.heldBack.find((item) => isMessage(item) && (!this.at || this.isNew(item)));
    // A stream reads only after it has joined.
    const to = next ? before(next) : this.goesOnAt!;
    this.overflowed = false;
    this.lossReason = 'unreadable';
    if (!this.at) this.at = to;
    else if (this.isNew(to)) this.skipTo(to);
    this.goLive();
  }

  private take(item: Message | ServiceGap): void {
    if (this.phase === Phase.Joining || this.phase === Phase.Reading) this.hold(item);
    if (this.phase !== Phase.Live) return;
    const { epoch, sequence } = this.at!;
    if (item.epoch === epoch) this.isAhead = false;
    if (!this.isNew(item)) return;
    const isNext = item.sequence === sequence + 1;
    if (isNext && item.sequence <= this.missedUpTo && isMessage(item) && !this.isAhead) {
      this.collect(item);
      if (item.sequence === this.missedUpTo) this.endMissed();
      return;
    }
    this.endMissed();
    // The app may have fallen behind by that.
    if (!this.is(Phase.Live)) return;
    if (this.isAhead) this.readOn();
    else if (isMessage(item)) this.accept(item, isNext);
    else this.acceptGap(item);
  }

  /** What lies after the last message may be stored. */
  private readOn(): void {
    this.read({ since: this.at! });
  }

  private read(request: HistoryRequest): void {
    this.phase = Phase.Reading;
    this.overflowed = false;
    this.dependencies.readHistory(request);
  }

  private goLive(): void {
    this.phase = Phase.Live;
    let held = this.heldBack;
    this.heldBack = [];
    if (this.isAhead) {
      const reached = held.findIndex(({ epoch }) => epoch === this.at!.epoch);
      // What came before the connection has reached the epoch is older than it.
      if (reached >= 0) held = held.slice(reached);
      else if (held.some((item) => this.isNew(item))) return this.readOn();
    }
    for (const item of held) this.take(item);
  }

  private accept(message: Message, isNext: boolean): void {
    if (!isNext) {
      // The history does not have it any more.
      if (this.vainReads > 0 && message.epoch !== this.at!.epoch) return;
      if (this.vainReads < vainReadsMax) {
        this.hold(message);
        this.lossReason = 'history_trimmed';
        return this.readOn();
      }
      this.skipTo(before(message));
    }
    this.vainReads = 0;
    this.lastId = message.id;
    this.moveTo(message);
    this.dependencies.deliver([message], false);
  }

  private acceptGap(gap: ServiceGap): void {
    const { reason } = gap;
    this.lossReason = reason;
    if (reason === 'log_lost' || reason === 'log_rolled_back') return this.skipTo(gap);
    this.goesOnAt = gap;
    this.readOn();
  }

  /** False for what was handed over before. What is of an unknown epoch is new, whatever its number. */
  private isNew({ epoch, sequence }: Position): boolean {
    const { epoch: current, sequence: last } = this.at!;
    return sequence > last || (epoch !== current && !this.leftEpochs.includes(epoch));
  }

  /**
   * As `isNew`, in a page of the history. After a rollback the page begins with the oldest stored messages: those of epochs
   * before this stream began are recognised by their time.
   */
  private isNewInLog(message: Message): boolean {
    const { epoch, sequence } = this.at!;
    const isBehind = message.epoch !== epoch && message.sequence <= sequence;
    return this.isNew(message) && !(isBehind && message.id <= this.lastId);
  }

  /** Adds a message to the batch of missed ones. */
  private collect(message: Message): void {
    if (!this.isNewInLog(message)) return;
    this.lastId = message.id;
    if (message.sequence !== this.at!.sequence + 1) this.skipTo(before(message));
    this.moveTo(message);
    this.missed.push(message);
    if (this.missed.length >= batchMax) this.hurry();
  }

  /** What lies before a position is lost. */
  private skipTo(to: Position): void {
    const from = this.at!;
    if (isSame(from, to)) return;
    this.hurry();
    this.moveTo(to);
    const { topic, lossReason: reason } = this;
    this.dependencies.lost({ topic, from, to: this.at!, reason });
  }

  private endMissed(): void {
    this.missedUpTo = 0;
    this.hurry();
  }

  /** Hands over what has been collected, without waiting for the rest. */
  hurry(): void {
    const { missed } = this;
    if (missed.length === 0) return;
    this.missed = [];
    this.dependencies.deliver(missed, true);
  }

  private moveTo({ epoch, sequence }: Position): void {
    const former = this.at?.epoch;
    if (former && former !== epoch && !this.leftEpochs.includes(former)) {
      this.leftEpochs.push(former);
      if (this.leftEpochs.length > epochsMax) this.leftEpochs.shift();
    }
    this.at = { epoch, sequence };
  }

  private hold(item: Message | ServiceGap): void {
    if (this.heldBack.length < heldMax) this.heldBack.push(item);
    else this.overflowed = true;
  }

  /** As a call, because what was called before may have changed the phase. */
  private is(phase: Phase): boolean {
    return this.phase === phase;
  }
}

function isMessage(item: Message | ServiceGap): item is Message {
  return 'id' in item;
}

/** The position before a message. */
function before({ epoch, sequence }: Position): Position {
  return { epoch, sequence: sequence - 1 };
}

function isSame(a: Position, b: Position): boolean {
  return a.epoch === b.epoch && a.sequence === b.sequence;
}

/** Whether messages between those of a page are missing. */
function hasHole(messages: readonly Position[]): boolean {
  return messages.some(({ sequence }, i) => i > 0 && sequence !== messages[i - 1]!.sequence + 1);
}
