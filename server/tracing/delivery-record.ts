import type { Position } from '../../shared/position.js';
import { AcknowledgementTimes, type Acknowledgement } from './acknowledgement-times.js';

/** Positions of a connection by topic. */
export interface TopicPositions {
  get(topic: string): Position | undefined;
}

/** What happened to a subscription or a connection that is not there any more, or went on elsewhere. */
export type DeliveryNote =
  /** A subscription ended: everything after `start` up to `reached` was passed to its transport. */
  | (SubscriptionPast & { readonly kind: 'ended' })
  /** A subscription lost the messages after `reached` up to `to`, and went on there. */
  | (SubscriptionPast & { readonly kind: 'lost'; readonly to: Position; readonly reason: string })
  | {
      readonly kind: 'left';
      readonly connectionId: string;
      readonly connectedAt: number;
      readonly at: number;
      /** What its client had confirmed. */
      readonly confirmed: TopicPositions;
    };

interface SubscriptionPast {
  readonly connectionId: string;
  readonly topic: string;
  /** Undefined: not known, because a program has joined the room. */
  readonly start: Position | undefined;
  readonly reached: Position;
  readonly at: number;
}

/** A time in which a subscriber was paused, because it read too slowly. */
export interface Pause {
  readonly connectionId: string;
  readonly topic: string;
  /** What was published after this position was not written to it at once. */
  readonly from: Position;
  readonly since: number;
  /** Undefined while it goes on. */
  until: number | undefined;
  /** Where it ended. */
  to: Position | undefined;
}

/** A subscription that was refused. */
export interface RefusedSubscription {
  readonly topic: string;
  readonly code: string;
  readonly at: number;
}

interface UserRecord {
  readonly notes: DeliveryNote[];
  readonly pauses: Pause[];
  readonly refused: RefusedSubscription[];
  /** Notes up to this time may be missing. */
  missingUntil: number;
}

/** All that is kept of a user. */
export interface KeptRecord {
  readonly notes: readonly DeliveryNote[];
  readonly pauses: readonly Pause[];
  readonly refused: readonly RefusedSubscription[];
  /** Nothing is missing that happened after this time, in milliseconds since 1970. */
  readonly completeSince: number;
}

interface Who {
  readonly id: string;
  readonly connectedAt: number;
  readonly identity: { readonly userId: string };
}

interface DeliveryRecordSettings {
  /** Notes of all users. */
  readonly notes: number;
  /** Notes of one user: one who reconnects all the time does not push out those of others. */
  readonly userNotes: number;
  /** Acknowledgements of all messages. */
  readonly acknowledgements: number;
}

const settingsInUse: DeliveryRecordSettings = { notes: 20_000, userNotes: 2000, acknowledgements: 50_000 };
/** Pauses and refusals kept of one user; nothing is concluded from one that is missing. */
const passingMax = 50;

/**
 * What this replica remembers of subscribers beyond their connections, so that an operator can ask why a user did or did not
 * get a message. Nothing is written for a delivery: what a live subscriber has follows from its position. Bounded: of users
 * about whom nothing was noted for the longest time, the notes are dropped.
 */
export class DeliveryRecord {
  private readonly users = new Map<string, UserRecord>();
  /** The record about which something was noted last: the last one of {@link users}. */
  private newest: { readonly userId: string; readonly record: UserRecord } | undefined;
  private readonly acks: AcknowledgementTimes;
  private size = 0;
  private completeSince: number;

  constructor(
    private readonly dependencies: {
      /** Milliseconds since 1970. */
      readonly now: () => number;
    },
    private readonly settings: DeliveryRecordSettings = settingsInUse,
  ) {
    this.completeSince = dependencies.now();
    this.acks = new AcknowledgementTimes(settings.acknowledgements);
  }

  /** A subscription has ended, by itself or with its connection. */
  ended(who: Who, topic: string, start: Position | undefined, reached: Position): void {
    this.note(who, {
      kind: 'ended',
      connectionId: who.id,
      topic,
      start,
      reached,
      at: this.dependencies.now(),
    });
  }

  /** A subscriber has lost the messages between two positions. */
  lost(
    who: Who,
    topic: string,
    start: Position | undefined,
    {
      from: reached,
      to,
      reason,
    }: { readonly from: Position; readonly to: Position; readonly reason: string },
  ): void {
    const at = this.dependencies.now();
    this.note(who, { kind: 'lost', connectionId: who.id, topic, start, reached, to, reason, at });
  }

  /** A connection has left. */
  left(who: Who, confirmed: TopicPositions): void {
    const { id: connectionId, connectedAt } = who;
    this.note(who, { kind: 'left', connectionId, connectedAt, confirmed, at: this.dependencies.now() });
  }

  /** A subscriber reads too slowly. The caller gives the result to {@link resumed}. */
  paused(who: Who, topic: string, from: Position): Pause {
    const since = this.dependencies.now();
    const pause: Pause = { connectionId: who.id, topic, from, since, until: undefined, to: undefined };
    keepLast(this.recordOf(who.identity.userId).pauses, pause);
    return pause;
  }

  /** A paused subscriber has caught up, or its subscription has ended. */
  resumed(pause: Pause, to: Position): void {
    pause.until = this.dependencies.now();
    pause.to = to;
  }

  /** A subscription was refused. */
  refused(who: Who, topic: string, code: string): void {
    // No message has a topic that is no name of one, and the text may be as long as a request.
    if (code === 'invalid_topic') return;
    keepLast(this.recordOf(who.identity.userId).refused, { topic, code, at: this.dependencies.now() });
  }

  /** A client has acknowledged a message. */
  acknowledged(messageId: string, connectionId: string): void {
    this.acks.add(messageId, { connectionId, at: this.dependencies.now() });
  }

  acknowledgementsOf(messageId: string): readonly Acknowledgement[] {
    return this.acks.of(messageId);
  }

  /** All that is kept of a user. */
  of(userId: string): KeptRecord {
    const record = this.users.get(userId);
    if (record === undefined)
      return { notes: [], pauses: [], refused: [], completeSince: this.completeSince };
    const { notes, pauses, refused, missingUntil } = record;
    return { notes, pauses, refused, completeSince: Math.max(this.completeSince, missingUntil) };
  }

  private note({ identity }: Who, note: DeliveryNote): void {
    const record = this.recordOf(identity.userId);
    record.notes.push(note);
    this.size++;
    if (record.notes.length > this.settings.userNotes) {
      // A tenth at a time, so that a list is rarely moved.
      const dropped = record.notes.splice(0, Math.ceil(this.settings.userNotes / 10));
      record.missingUntil = dropped.at(-1)!.at;
      this.size -= dropped.length;
    }
    while (this.size > this.settings.notes) this.dropOldest();
  }

  /** The record of a user, as the one about whom something was noted last. */
  private recordOf(userId: string): UserRecord {
    // A `Map` that changes all the time keeps its former tables, with what they refer to, until a major collection: see `Registry`.
    if (this.newest?.userId === userId) return this.newest.record;
    const record = this.users.get(userId) ?? { notes: [], pauses: [], refused: [], missingUntil: 0 };
    this.users.delete(userId);
    this.users.set(userId, record);
    this.newest = { userId, record };
    if (this.users.size > this.settings.notes) this.dropOldest();
    return record;
  }

  /** Drops the record of the user about whom nothing was noted for the longest time. */
  private dropOldest(): void {
    for (const [userId, { notes }] of this.users) {
      this.users.delete(userId);
      if (this.newest?.userId === userId) this.newest = undefined;
      this.size -= notes.length;
      this.completeSince = Math.max(this.completeSince, notes.at(-1)?.at ?? 0);
      return;
    }
  }
}

function keepLast<Item>(list: Item[], item: Item): void {
  list.push(item);
  if (list.length > passingMax) list.shift();
}
