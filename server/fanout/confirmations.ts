import type { Bus } from '../cluster/bus.js';
import type { AppendReceipt, LogEntry } from '../log/broker.js';
import type { AckCollector } from './active-topic.js';
import { messageIdOf, viewHeader } from '../log/entry.js';
import type { DeliveryRecord } from '../tracing/delivery-record.js';
import { SharedAckIds } from '../protocol/ack-ids.js';
import { awaitedAcksMax, type Subscriber } from './subscriber.js';

/** The connection that waits for confirmations. */
interface Publisher {
  /** It is being moved to another replica: it does not wait any more. */
  readonly isMoving?: true;
}

/** Acknowledgements of one message, collected so far. */
interface Awaited {
  readonly topic: string;
  readonly publisher: Publisher | undefined;
  readonly reported: Set<string>;
  sent: number;
  acknowledged: number;
  /** Connections that closed without an acknowledgement. */
  left: number;
  /** Ends the wait if everything has arrived. */
  check: () => void;
  /** Ends the wait with what has arrived. */
  end: () => void;
}

/** A message sent by this replica, for which another replica (or this one) awaits acknowledgements. */
interface Sent {
  readonly origin: string;
  readonly waiting: Set<string>;
  /** Acknowledgement ids of the packets that were sent to its connections: several if they got it at different times. */
  readonly ackIds: Set<number>;
  readonly expiresAt: number;
}

/** The result for the publisher. */
interface Confirmed {
  delivered: number;
  expected: number;
}

type Report = { id: string; sent: number } | { id: string; acknowledged: number; left: number };

/** Asks a replica that has not reported yet. */
interface Inquiry {
  readonly id: string;
  readonly topic: string;
}

const kind = 'confirmation';
const inquiryKind = 'confirmation_inquiry';
/** Replicas that have not reported are asked after this time, and again, in milliseconds. */
const inquiryMs = { first: 50, next: 1000 };
/** Sent messages are kept this long, in milliseconds; longer than any timeout of a publisher. */
const keptMs = 61_000;

/**
 * Delivery confirmations across replicas. The replica that accepted the message counts what the delivering
 * replicas report. Each of them first reports to how many connections it sent the message, then the
 * acknowledgements. It also reports a connection that closes, so that the publisher does not wait for it
 * until the timeout.
 */
export class Confirmations implements AckCollector {
  private readonly awaited = new Map<string, Awaited>();
  private readonly sent = new Map<string, Sent>();
  private readonly byConnection = new Map<string, Set<string>>();
  /** Acknowledgement ids of messages that still await an acknowledgement. */
  private readonly usedAckIds = new Set<number>();
  private isEnding = false;
  private isFollowed: (topic: string) => boolean = () => true;

  constructor(
    private readonly bus: Bus,
    private readonly ackIds = new SharedAckIds(),
    private readonly record?: Pick<DeliveryRecord, 'acknowledged'>,
  ) {
    bus.on(kind, (data, from) => this.onReport(data as Report, from));
    bus.on(inquiryKind, (data, from) => this.onInquiry(data as Inquiry, from));
  }

  /** Tells whether this replica follows the log of a topic; without it, every inquiry waits for the report. */
  setFollowed(isFollowed: (topic: string) => boolean): void {
    this.isFollowed = isFollowed;
  }

  get replicaId(): string {
    return this.bus.replicaId;
  }

  // On the replica of the publisher.

  expect(messageId: string, topic: string, publisher?: Publisher): void {
    const counts = { sent: 0, acknowledged: 0, left: 0 };
    const ends = { check: ignore, end: ignore };
    this.awaited.set(messageId, { topic, publisher, reported: new Set(), ...counts, ...ends });
  }

  cancel(messageId: string): void {
    this.awaited.delete(messageId);
  }

  /**
   * Resolves when all connections have acknowledged or closed (with `until: "sent"`: when their number is
   * known), or after the time limit.
   */
  async wait(
    receipt: AppendReceipt,
    timeoutMs: number,
    until: 'acknowledged' | 'sent' = 'acknowledged',
  ): Promise<Confirmed> {
    const awaited = this.awaited.get(receipt.id);
    if (awaited === undefined || receipt.duplicate) return { delivered: 0, expected: 0 };
    const receivers = receipt.receivers ?? (await this.bus.replicas()).length;
    let live: readonly string[] | undefined;
    let inquiry: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      const isEnding = this.isEnding || awaited.publisher?.isMoving === true;
      const timer = setTimeout(resolve, isEnding ? 0 : timeoutMs);
      // V8 makes a function that is written where it is assigned to a property in the old generation, with all that it refers to.
      const end = () => {
        clearTimeout(timer);
        resolve();
      };
      const isKnown = () =>
        awaited.reported.size >= receivers ||
        live?.every((replica) => awaited.reported.has(replica)) === true;
      const check = () => {
        if (!isKnown() || (until === 'acknowledged' && awaited.acknowledged + awaited.left < awaited.sent))
          return;
        end();
      };
      awaited.end = end;
      awaited.check = check;
      // Redis counts everybody who receives the channel: programs that watch it, other services. So the replicas
      // themselves are asked.
      const ask = async () => {
        if (isKnown()) return;
        live = await this.bus.replicas();
        for (const replica of live)
          if (!awaited.reported.has(replica))
            this.bus.send(replica, inquiryKind, { id: receipt.id, topic: awaited.topic } satisfies Inquiry);
        check();
        if (this.awaited.get(receipt.id) === awaited) inquiry = setTimeout(() => void ask(), inquiryMs.next);
      };
      inquiry = setTimeout(() => void ask(), inquiryMs.first);
      check();
    });
    clearTimeout(inquiry);
    this.awaited.delete(receipt.id);
    // A report can get lost with a connection of the bus, and the acknowledgements after it arrive.
    const { acknowledged, left, sent } = awaited;
    return { delivered: acknowledged, expected: Math.max(sent, acknowledged + left) };
  }

  /** The replica is stopping: from now on publishers get what is known, and wait for no more. */
  endWaits(): void {
    this.isEnding = true;
    for (const awaited of this.awaited.values()) awaited.end();
  }

  /** As {@link endWaits}, for one publisher, which is being moved to another replica. */
  endWaitsOf(publisher: Publisher): void {
    for (const awaited of this.awaited.values()) if (awaited.publisher === publisher) awaited.end();
  }

  // On the replica that delivers.

  nextAckId(): number {
    return this.ackIds.take((id) => this.usedAckIds.has(id));
  }

  /** Called when the fan-out has written a message to these connections. */
  expectAcks(item: LogEntry, ackId: number, subscribers: readonly Subscriber[]): void {
    const id = messageIdOf(item.entry);
    this.sentTo(
      id,
      viewHeader(item.entry)?.origin,
      subscribers.map((subscriber) => subscriber.id),
      ackId,
    );
    for (const subscriber of subscribers) {
      subscriber.expectAck(ackId, id, () => this.acknowledged(id, subscriber.id));
    }
  }

  /**
   * Records that a message was sent to these connections, and reports their number to the replica of its
   * publisher.
   */
  sentTo(id: string, origin: string | undefined, connections: readonly string[], ackId: number): void {
    if (origin === undefined) return;
    this.forgetOld();
    this.bus.send(origin, kind, { id, sent: connections.length } satisfies Report);
    if (connections.length === 0) return;
    const before = this.sent.get(id);
    // The latest last.
    this.sent.delete(id);
    const waiting = before?.waiting ?? new Set();
    for (const connection of connections) waiting.add(connection);
    const ackIds = before?.ackIds ?? new Set();
    const expiresAt = performance.now() + keptMs;
    this.sent.set(id, { origin, waiting, ackIds: ackIds.add(ackId), expiresAt });
    this.usedAckIds.add(ackId);
    for (const connection of connections) {
      const messages = this.byConnection.get(connection) ?? new Set();
      this.byConnection.set(connection, messages.add(id));
      if (messages.size > awaitedAcksMax) this.giveUpOldest(connection, messages);
    }
  }

  /** A client that reads and never acknowledges would otherwise make this replica remember a minute of its messages. */
  private giveUpOldest(connection: string, messages: ReadonlySet<string>): void {
    for (const oldest of messages) {
      this.settle(oldest, connection, { id: oldest, acknowledged: 0, left: 1 });
      return;
    }
  }

  acknowledged(id: string, connection: string): void {
    this.record?.acknowledged(id, connection);
    this.settle(id, connection, { id, acknowledged: 1, left: 0 });
  }

  /** Reports that a connection has closed, so that no publisher waits for its acknowledgements. */
  onLeft(connection: string): void {
    for (const id of this.byConnection.get(connection) ?? [])
      this.settle(id, connection, { id, acknowledged: 0, left: 1 });
    this.byConnection.delete(connection);
  }

  private settle(id: string, connection: string, report: Report): void {
    const sent = this.sent.get(id);
    if (sent === undefined || !sent.waiting.delete(connection)) return;
    this.byConnection.get(connection)?.delete(id);
    if (sent.waiting.size === 0) this.forget(id, sent);
    this.bus.send(sent.origin, kind, report);
  }

  /** A replica that does not follow the log has nobody to send the message to. One that does reports by itself. */
  private onInquiry({ id, topic }: Inquiry, from: string): void {
    if (!this.sent.has(id) && !this.isFollowed(topic))
      this.bus.send(from, kind, { id, sent: 0 } satisfies Report);
  }

  private onReport(report: Report, from: string): void {
    const awaited = this.awaited.get(report.id);
    if (awaited === undefined) return;
    if ('sent' in report) {
      awaited.reported.add(from);
      awaited.sent += report.sent;
    } else {
      awaited.acknowledged += report.acknowledged;
      awaited.left += report.left;
    }
    awaited.check();
  }

  /** Messages are ordered by time: the oldest come first. */
  private forgetOld(): void {
    const now = performance.now();
    for (const [id, sent] of this.sent) {
      if (sent.expiresAt > now) return;
      this.forget(id, sent);
      for (const connection of sent.waiting) this.byConnection.get(connection)?.delete(id);
    }
  }

  private forget(id: string, { ackIds }: Sent): void {
    this.sent.delete(id);
    for (const ackId of ackIds) this.usedAckIds.delete(ackId);
  }
}

function ignore(): void {}
