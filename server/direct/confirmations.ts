import type { Bus } from '../replicas/bus.js';
import type { LogEntry } from '../topics/broker.js';
import type { AckCollector } from '../topics/carried-topic.js';
import { messageIdOf, viewHeader } from '../topics/entry.js';
import type { PublishReceipt } from '../topics/topics.js';
import { SharedAckIds } from '../transports/ack-ids.js';
import type { Subscriber } from '../transports/subscriber.js';

/** What came back of a message so far. */
interface Awaited {
  readonly reported: Set<string>;
  sent: number;
  acknowledged: number;
  /** Connections that left without acknowledging. */
  left: number;
  /** Looks whether the waiting is over. */
  check: () => void;
}

/** A message sent here, for which another replica (or this one) awaits acknowledgements. */
interface Sent {
  readonly origin: string;
  readonly waiting: Set<string>;
  /** Of the packet that all its connections were sent; undefined where each was sent its own. */
  readonly ackId: number | undefined;
  readonly expiresMs: number;
}

/** What a publisher is told. */
export interface Confirmed {
  delivered: number;
  expected: number;
}

type Report = { id: string; sent: number } | { id: string; acknowledged: number; left: number };

const kind = 'confirmation';
/** A receiver's memory of what it sent; longer than any time-out. */
const keptMs = 61_000;

/**
 * Delivery confirmations across replicas: the replica that took the message counts what the replicas that delivered it report. Each
 * reports first to how many connections it sent the message, then who acknowledged; a connection that leaves is reported too, so that it
 * does not cost the whole time-out.
 */
export class Confirmations implements AckCollector {
  private readonly awaited = new Map<string, Awaited>();
  private readonly sent = new Map<string, Sent>();
  private readonly byConnection = new Map<string, Set<string>>();
  /** Acknowledgement ids of messages that are still waited for. */
  private readonly usedAckIds = new Set<number>();

  constructor(
    private readonly bus: Bus,
    private readonly ackIds = new SharedAckIds(),
  ) {
    bus.on(kind, (data, from) => this.onReport(data as Report, from));
  }

  get replicaId(): string {
    return this.bus.replicaId;
  }

  // For the publisher.

  expect(messageId: string): void {
    this.awaited.set(messageId, { reported: new Set(), sent: 0, acknowledged: 0, left: 0, check: () => {} });
  }

  cancel(messageId: string): void {
    this.awaited.delete(messageId);
  }

  /** Resolves when all connections have acknowledged or left (`until: "sent"`: when it is known how many there are), or after the time. */
  async wait(
    receipt: PublishReceipt,
    timeoutMs: number,
    until: 'acknowledged' | 'sent' = 'acknowledged',
  ): Promise<Confirmed> {
    const awaited = this.awaited.get(receipt.id);
    if (awaited === undefined || receipt.duplicate) return { delivered: 0, expected: 0 };
    const replicas = receipt.receivers ?? (await this.bus.replicas()).length;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      awaited.check = () => {
        const known = awaited.reported.size >= replicas;
        if (!known || (until === 'acknowledged' && awaited.acknowledged + awaited.left < awaited.sent))
          return;
        clearTimeout(timer);
        resolve();
      };
      awaited.check();
    });
    this.awaited.delete(receipt.id);
    return { delivered: awaited.acknowledged, expected: awaited.sent };
  }

  // For the replica that delivers.

  nextAckId(): number {
    return this.ackIds.take((id) => this.usedAckIds.has(id));
  }

  /** A message was written to these connections of the fan-out. */
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

  /** A message was sent to these connections; tells its origin how many. */
  sentTo(id: string, origin: string | undefined, connections: readonly string[], ackId?: number): void {
    if (origin === undefined) return;
    this.forgetOld();
    this.bus.send(origin, kind, { id, sent: connections.length } satisfies Report);
    if (connections.length === 0) return;
    const before = this.sent.get(id);
    if (before !== undefined) this.forget(id, before);
    const expiresMs = performance.now() + keptMs;
    this.sent.set(id, { origin, waiting: new Set(connections), ackId, expiresMs });
    if (ackId !== undefined) this.usedAckIds.add(ackId);
    for (const connection of connections) {
      const messages = this.byConnection.get(connection) ?? new Set();
      this.byConnection.set(connection, messages.add(id));
    }
  }

  acknowledged(id: string, connection: string): void {
    this.settle(id, connection, { id, acknowledged: 1, left: 0 });
  }

  /** A connection is gone: whoever awaits its acknowledgements need not wait for it. */
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

  /** Messages are kept in order of time: the old ones are in front. */
  private forgetOld(): void {
    const nowMs = performance.now();
    for (const [id, sent] of this.sent) {
      if (sent.expiresMs > nowMs) return;
      this.forget(id, sent);
      for (const connection of sent.waiting) this.byConnection.get(connection)?.delete(id);
    }
  }

  private forget(id: string, { ackId }: Sent): void {
    this.sent.delete(id);
    if (ackId !== undefined) this.usedAckIds.delete(ackId);
  }
}
