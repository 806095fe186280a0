import type { EventOf } from '../../history/event.js';
import type { HistoryIndex } from '../history-index.js';
import type { Violation } from '../violation.js';

type Message = EventOf<'message'>;
type Notice = EventOf<'gap'> | EventOf<'subscribed'>;

/** Where a subscriber is in one topic. */
interface Reading {
  readonly sequence: number;
  /** Id of the last message; undefined after a notice or at a start, which name a position only. */
  readonly id: string | undefined;
  /** A session goes on: the next message may be one that the client has already. */
  readonly mayRepeat?: boolean;
  /** The client has unsubscribed, and that was answered. */
  readonly hasLeft?: boolean;
  /** It has subscribed again from this earlier position: its subscription goes on where it is, or there anew (P2.1). */
  readonly orAfter?: number;
}

/**
 * How long a session may not know that its client has received the notice of a loss (S3.4): two heartbeats, and the time
 * that faults may take before it is written.
 */
const unprovedMs = 12_000;

const kinds = ['message', 'gap', 'subscribed', 'unsubscribed', 'connected', 'settled'] as const;

/**
 * P2: a subscriber receives every message after its position once and in order, or is notified. Clients are followed
 * over all their connections. They record what begins a subscription before its first message.
 */
export function* delivered(history: HistoryIndex): Iterable<Violation> {
  for (const [client, events] of history.byClient(kinds)) {
    const reader = new Reader(history, client);
    for (const event of events) yield* reader.step(event);
  }
}

class Reader {
  private readonly topics = new Map<string, Reading>();
  /** When it was last notified of a loss, by topic. */
  private readonly notifiedAt = new Map<string, number>();

  constructor(
    private readonly history: HistoryIndex,
    private readonly client: string,
  ) {}

  *step(event: EventOf<(typeof kinds)[number]>): Iterable<Violation> {
    if (event.kind === 'connected') {
      if (event.askedForSession)
        for (const [topic, reading] of this.topics) this.topics.set(topic, { ...reading, mayRepeat: true });
      return;
    }
    const { topic } = event;
    const reading = this.topics.get(topic);
    switch (event.kind) {
      case 'unsubscribed':
        if (reading !== undefined) this.topics.set(topic, { ...reading, hasLeft: true });
        return;
      case 'gap':
        yield* this.judgeNotice(reading, event);
        this.topics.set(topic, { sequence: event.sequence, id: undefined });
        return;
      case 'subscribed':
        if (event.recovered === false) yield* this.judgeNotice(reading, event);
        else yield* this.judgeStart(reading, event);
        this.topics.set(topic, begin(reading, event));
        return;
      case 'message':
        if (reading !== undefined) yield* this.judgeMessage(reading, event);
        this.topics.set(topic, { sequence: event.sequence, id: event.id });
        return;
      case 'settled':
        if (reading !== undefined) yield* this.judgeEnd(reading, topic);
        return;
    }
  }

  private *judgeMessage(reading: Reading, { topic, sequence, epoch, id }: Message): Iterable<Violation> {
    const what = `${epoch}:${sequence} of ${topic}`;
    if (reading.hasLeft === true) {
      yield this.violation('G1.5', topic, `received ${what} although its unsubscribe was answered`);
      return;
    }
    if (reading.orAfter !== undefined && sequence === reading.orAfter + 1) return;
    const next = reading.sequence + 1;
    if (sequence > next)
      yield this.violation(
        'P2.1',
        topic,
        `received ${what} after ${reading.sequence}, and no notice between`,
      );
    else if (sequence < next && reading.mayRepeat !== true)
      yield this.violation('P2.1', topic, `received ${what} again or late, after ${reading.sequence}`);
    const log = this.history.logs.get(topic);
    const place = log?.byId.get(id)?.place;
    if (log === undefined || place === undefined || reading.id === undefined) return;
    const before = log.byId.get(reading.id)?.place;
    // What the log has removed at its beginning is not lost to a reader who is past it.
    const first = log.messages[0]!;
    if (before === undefined && reading.sequence >= first.sequence)
      yield this.violation(
        'P5.4',
        topic,
        `received ${what} after message ${reading.id}, which the log has lost, and no notice between`,
      );
    else if (before !== undefined && place > before + 1)
      yield this.violation(
        'P2.1',
        topic,
        `received ${what} after ${reading.sequence}; the log has ${place - before - 1} messages between`,
      );
  }

  /** A notice of a loss is right only if something may have been lost. */
  private *judgeNotice(reading: Reading | undefined, notice: Notice): Iterable<Violation> {
    const { topic, sequence } = notice;
    // The client has asked for nothing that could be recovered. Version 0.1 says `recovered: false` then.
    if (reading === undefined && notice.kind === 'subscribed' && notice.since === undefined) return;
    const notifiedAt = this.notifiedAt.get(topic) ?? -Infinity;
    this.notifiedAt.set(topic, notice.at);
    const text = notice.kind === 'gap' ? `gap (${notice.reason})` : 'recovered: false';
    if (!this.history.mayBeLost(0, notice.at))
      yield this.violation(
        'P2.2',
        topic,
        `was sent "${text}" up to ${sequence} after ${reading?.sequence}, but nothing can have been lost`,
      );
    else if (reading?.id === undefined || this.history.logs.get(topic)?.byId.has(reading.id) !== true) return;
    // A session may go on before the last loss, and announce it again (S3.4).
    else if (notice.kind !== 'subscribed' || notice.by !== 'session' || notice.at > notifiedAt + unprovedMs)
      yield this.violation(
        'P5.3',
        topic,
        `was sent "${text}" up to ${sequence} after ${reading.sequence}, which the log still has with all that follows`,
      );
  }

  /** A session goes on where the client has been, or before. */
  private *judgeStart(reading: Reading | undefined, event: EventOf<'subscribed'>): Iterable<Violation> {
    if (event.recovered !== true || event.since !== undefined || reading === undefined) return;
    const start = event.sequence - (event.missed ?? 0);
    if (start > reading.sequence)
      yield this.violation(
        'S3.1',
        event.topic,
        `has received up to ${reading.sequence}, but its session goes on after ${start}`,
      );
  }

  private *judgeEnd(reading: Reading, topic: string): Iterable<Violation> {
    const log = this.history.logs.get(topic);
    const last = log?.messages.at(-1);
    if (log === undefined || last === undefined || reading.hasLeft === true) return;
    if (last.sequence !== reading.sequence || (reading.id !== undefined && reading.id !== last.id))
      yield this.violation(
        'P2.1',
        topic,
        `had time to receive ${last.epoch}:${last.sequence}, the end of ${topic}, but is at ${reading.sequence}`,
      );
  }

  private violation(rule: string, topic: string, what: string): Violation {
    return { rule, text: `${this.client} ${what}`, about: { topic, client: this.client } };
  }
}

function begin(reading: Reading | undefined, event: EventOf<'subscribed'>): Reading {
  const { recovered, since, sequence, missed = 0 } = event;
  if (recovered !== true) return { sequence, id: undefined };
  if (
    since !== undefined &&
    reading !== undefined &&
    reading.sequence > since.sequence &&
    reading.hasLeft !== true
  )
    return { sequence: reading.sequence, id: reading.id, orAfter: since.sequence };
  if (since !== undefined)
    return reading?.sequence === since.sequence
      ? { sequence: reading.sequence, id: reading.id }
      : { sequence: since.sequence, id: undefined };
  return reading === undefined
    ? { sequence: sequence - missed, id: undefined }
    : { sequence: reading.sequence, id: reading.id, mayRepeat: true };
}
