import { DeliveryBatch } from '../fanout/delivery-batch.js';
import { inboxOf } from './inbox-name.js';
import { InboxRemovals } from './inbox-removals.js';
import type { Broker, LogEnd, LogEntry, LogSlice } from '../log/broker.js';
import { directEntry, isTraced, messageIdOf, viewHeader } from '../log/entry.js';
import type { Position } from '../../shared/position.js';
import { epochAt, isPositionIn, sharedSequence, type Lineage } from '../log/lineage.js';
import type { Topics } from '../topics/topics.js';
import type { Feed } from '../log/feed.js';
import type { Connection } from '../protocol/connection.js';
import type { Subscriber } from '../fanout/subscriber.js';
import type { Log } from '../logging/log.js';
import type { DeliveryTracer } from '../tracing/message-tracer.js';
import type { Confirmations } from '../fanout/confirmations.js';

interface DirectServiceDependencies {
  readonly topics: Pick<Topics, 'follow'>;
  readonly broker: Pick<Broker, 'read' | 'remove'>;
  readonly confirmations: Confirmations;
  readonly tracer: DeliveryTracer;
  readonly log: Log;
}

/** Inbox messages per read, and their bytes. */
const readSize = 50;
const readBytes = 262_144;

/** Delay before an inbox that could not be opened is tried again, in milliseconds. */
const retryMs = 1000;

interface Recipient {
  readonly connection: Subscriber;
  /**
   * `loading`: receives the messages that were in the inbox when it connected. `live`: receives messages as
   * they arrive. `stalled`: reads too slowly; newer messages wait in the inbox and are sent when it has
   * drained.
   */
  state: 'loading' | 'live' | 'stalled';
  /** Position of the last message sent to it. */
  sent: Position | undefined;
  /** Where the inbox was when the client was last connected, until that has been compared. */
  known: Position | undefined;
  /** The epoch of the last loss that it was notified of. */
  notifiedOf?: string;
}

interface LiveEntry {
  readonly epoch: string;
  readonly item: LogEntry;
}

interface Inbox {
  readonly topic: string;
  readonly recipients: Map<string, Recipient>;
  /** Clients of the user that are about to connect. */
  expected: number;
  feed: Feed | undefined;
  /** Where the log ended when the feed was opened, until the first recipient is served. */
  openedAt: LogEnd | undefined;
  opening: Promise<void> | undefined;
}

/**
 * Delivers direct messages. Each user has a log, the inbox. A message that one of the user's connections has
 * acknowledged is removed from it; the remaining messages are sent to each new connection. So a message is
 * delivered at least once, in order, and waits while the user is offline.
 */
export class DirectService {
  private readonly inboxes = new Map<string, Inbox>();
  private readonly removals: InboxRemovals;
  /** End the pauses of those whose inbox could not be read. */
  private readonly pauses = new Set<() => void>();
  private closed = false;

  constructor(private readonly dependencies: DirectServiceDependencies) {
    this.removals = new InboxRemovals(dependencies);
  }

  /**
   * Sends a new connection of a user the waiting messages of the inbox, then the live ones. Resolves when
   * direct messages reach the connection, or when the inbox could not be opened; then it is tried again.
   *
   * @param known where the inbox was when the client was last connected: if it has lost messages since, the
   * client is notified
   */
  add(connection: Subscriber, known?: Position): Promise<void> {
    const { userId } = connection.identity;
    const inbox = this.inbox(userId);
    const recipient: Recipient = { connection, state: 'loading', sent: undefined, known };
    inbox.recipients.set(connection.id, recipient);
    void this.serve(userId, inbox, recipient);
    return this.opened(userId, inbox).catch(() => {});
  }

  /**
   * A client of a user is about to connect: its inbox is opened meanwhile. Returns a function that must be called once, when the
   * client is connected or does not come.
   */
  expect(userId: string): () => void {
    const inbox = this.inbox(userId);
    inbox.expected++;
    this.opened(userId, inbox).catch(() => {});
    return () => {
      inbox.expected--;
      this.dropIfUnused(userId, inbox);
    };
  }

  /** The end of the inbox of a connection's user, as far as it is known here. */
  positionOf({ id, identity }: Connection): Position | undefined {
    const inbox = this.inboxes.get(identity.userId);
    return inbox?.feed?.position ?? inbox?.recipients.get(id)?.known;
  }

  /** How far a connection is with the inbox of its user; undefined: it receives no direct messages yet. */
  recipientOf({
    id,
    identity,
  }: Connection):
    { readonly state: 'loading' | 'live' | 'stalled'; readonly sent: Position | undefined } | undefined {
    const recipient = this.inboxes.get(identity.userId)?.recipients.get(id);
    return recipient && { state: recipient.state, sent: recipient.sent };
  }

  remove(connection: Connection): void {
    const { userId } = connection.identity;
    this.dependencies.confirmations.onLeft(connection.id);
    const inbox = this.inboxes.get(userId);
    if (inbox?.recipients.delete(connection.id) === true) this.dropIfUnused(userId, inbox);
  }

  /** The log is reachable again: inboxes that could not be read are read at once. */
  goOn(): void {
    for (const end of [...this.pauses]) end();
  }

  close(): void {
    this.closed = true;
    this.goOn();
    for (const inbox of this.inboxes.values()) inbox.feed?.close();
    this.inboxes.clear();
  }

  private inbox(userId: string): Inbox {
    let inbox = this.inboxes.get(userId);
    if (inbox === undefined) {
      inbox = {
        topic: inboxOf(userId),
        recipients: new Map(),
        expected: 0,
        feed: undefined,
        openedAt: undefined,
        opening: undefined,
      };
      this.inboxes.set(userId, inbox);
    }
    return inbox;
  }

  /** Sends the waiting messages of the inbox, as fast as the client reads them, then starts live delivery. */
  private async serve(userId: string, inbox: Inbox, recipient: Recipient): Promise<void> {
    const isThere = () =>
      !this.closed &&
      this.inboxes.get(userId) === inbox &&
      inbox.recipients.get(recipient.connection.id) === recipient;
    const { outbox } = recipient.connection;
    while (isThere()) {
      try {
        if (outbox.isOverfull) {
          recipient.state = 'stalled';
          await new Promise<void>((resolve) => outbox.onceDrained(resolve));
          continue;
        }
        await this.opened(userId, inbox);
        const { sent } = recipient;
        const reached = inbox.feed?.position.sequence ?? 0;
        const slice = this.emptyInbox(inbox, recipient) ?? (await this.read(inbox, sent));
        if (!isThere()) return;
        const { known } = recipient;
        recipient.known = undefined;
        if (known !== undefined && !isPositionIn(slice.end, known))
          this.notifyOfLoss(inbox, recipient, known, slice.end);
        if (sent !== undefined && !isPositionIn(slice.end, sent)) {
          // The log has been replaced: it is read from its beginning.
          this.notifyOfLoss(inbox, recipient, sent, slice.end);
          recipient.sent = undefined;
          continue;
        }
        const isLast = slice.entries.length < readSize && !slice.truncated;
        if (!this.sendWaiting(inbox, recipient, slice) || !isLast) continue;
        if (slice.end.sequence < reached) throw new Error('the inbox ends before the position of its feed');
        // A message that was appended behind this read has come live meanwhile.
        if (slice.end.sequence < (inbox.feed?.position.sequence ?? 0)) continue;
        recipient.state = 'live';
        return;
      } catch (error) {
        this.dependencies.log.debug('Inbox not read yet', { user_id: userId, error });
        await this.pause();
      }
    }
  }

  private read({ topic }: Inbox, sent: Position | undefined): Promise<LogSlice> {
    return this.dependencies.broker.read(topic, sent?.sequence ?? 0, readSize, readBytes);
  }

  /**
   * What the first recipient would read if the inbox was empty when its feed was opened, as nearly all are, and nothing has come since.
   * Undefined: it must be read. Also if the client was further when it was last connected: then that read was too early, or something is lost.
   */
  private emptyInbox(inbox: Inbox, { known, sent }: Recipient): LogSlice | undefined {
    const { feed, openedAt: end } = inbox;
    inbox.openedAt = undefined;
    if (feed === undefined || end === undefined || sent !== undefined) return undefined;
    const { epoch, sequence } = feed.position;
    const isEmpty = end.firstSequence > end.sequence && end.epoch === epoch && end.sequence === sequence;
    if (!isEmpty || (known !== undefined && !isPositionIn(end, known))) return undefined;
    return { end, entries: [], truncated: false };
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.pauses.delete(end);
        resolve();
      };
      const timer = setTimeout(end, retryMs).unref();
      this.pauses.add(end);
    });
  }

  /** False if the recipient does not read and messages are left. */
  private sendWaiting(inbox: Inbox, recipient: Recipient, { end, entries }: LogSlice): boolean {
    for (const item of entries) {
      if (recipient.connection.outbox.isOverfull) return false;
      this.deliver(inbox, [recipient], { epoch: epochAt(end, item.sequence), item }, true);
    }
    return true;
  }

  private opened(userId: string, inbox: Inbox): Promise<void> {
    if (inbox.feed !== undefined) return Promise.resolve();
    inbox.opening ??= this.open(userId, inbox).finally(() => {
      inbox.opening = undefined;
      this.dropIfUnused(userId, inbox);
    });
    return inbox.opening;
  }

  /** An inbox that is being opened is kept until it is open: its user may be back by then, and a log is followed once. */
  private dropIfUnused(userId: string, inbox: Inbox): void {
    if (inbox.recipients.size + inbox.expected > 0 || inbox.opening !== undefined) return;
    inbox.feed?.close();
    this.inboxes.delete(userId);
  }

  private async open(userId: string, inbox: Inbox): Promise<void> {
    const feed = await this.dependencies.topics.follow(
      inbox.topic,
      (epoch, entries) => {
        for (const item of entries) this.onLive(userId, inbox, { epoch, item });
      },
      (from, to) => {
        for (const recipient of inbox.recipients.values()) {
          this.notifyOfLoss(inbox, recipient, from, { ...to, previous: [] });
          recipient.sent = undefined;
        }
      },
    );
    if (this.closed) {
      feed.close();
      return;
    }
    inbox.feed = feed;
    inbox.openedAt = feed.openedAt;
  }

  /**
   * Notifies a client that its inbox has lost messages after a position, as far as the service knows: they may
   * have been unread. Messages that are in the inbox are sent to it.
   */
  private notifyOfLoss(inbox: Inbox, recipient: Recipient, from: Position, end: Lineage): void {
    if (recipient.notifiedOf === end.epoch || from.sequence === 0) return;
    recipient.notifiedOf = end.epoch;
    const shared = sharedSequence({ ...from, previous: [] }, end);
    this.dependencies.log.warn('Inbox has lost messages', { topic: inbox.topic, from, to: end.epoch });
    recipient.connection.emit('gap', {
      topic: inbox.topic,
      epoch: end.epoch,
      sequence: Math.min(shared ?? 0, end.sequence),
      previous: { epoch: from.epoch, sequence: from.sequence },
      reason: shared === undefined ? 'log_lost' : 'log_rolled_back',
    });
  }

  private onLive(userId: string, inbox: Inbox, live: LiveEntry): void {
    const { epoch, item } = live;
    const { entry, sequence } = item;
    if (isTraced(entry)) this.dependencies.tracer.queued(messageIdOf(entry), { sequence });
    const ready: Recipient[] = [];
    let loading = 0;
    for (const recipient of inbox.recipients.values()) {
      const { state, sent, connection } = recipient;
      if (state === 'loading') loading++;
      else if (state === 'live' && !(sent?.epoch === epoch && sequence <= sent.sequence)) {
        if (!connection.outbox.isOverfull) ready.push(recipient);
        else {
          recipient.state = 'stalled';
          void this.serve(userId, inbox, recipient);
        }
      }
    }
    // If some connections are still loading, the report follows when the message has been sent to them too.
    if (loading === 0 || ready.length > 0) this.deliver(inbox, ready, live);
  }

  /** `isWaiting`: the message was in the inbox before the recipient connected. */
  private deliver(
    inbox: Inbox,
    recipients: readonly Recipient[],
    { epoch, item }: LiveEntry,
    isWaiting = false,
  ): void {
    const id = messageIdOf(item.entry);
    const { confirmations, tracer } = this.dependencies;
    const header = viewHeader(item.entry);
    const ackId = confirmations.nextAckId();
    confirmations.sentTo(
      id,
      header?.origin,
      recipients.map(({ connection }) => connection.id),
      ackId,
    );
    if (header?.traced === true && recipients.length > 0) {
      const details = { sequence: item.sequence, connections: recipients.length };
      if (isWaiting) tracer.caughtUp(id, details);
      else tracer.delivered(id, details);
    }
    if (recipients.length === 0) return;
    const entries = [{ sequence: item.sequence, entry: directEntry(item.entry) }];
    const batch = new DeliveryBatch(inbox.topic, [{ epoch, entries }], 'direct', () => ackId);
    for (const recipient of recipients) {
      recipient.sent = { epoch, sequence: item.sequence };
      const { connection } = recipient;
      connection.expectAck(ackId, id, () => {
        confirmations.acknowledged(id, connection.id);
        this.removals.add(inbox.topic, epoch, item.sequence);
      });
      connection.outbox.write(batch);
    }
  }
}
