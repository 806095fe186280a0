import type { RefusalError } from '../../shared/errors.js';
import type { UserQuotas } from '../limits/user-quotas.js';

/** A reservation of a user for one topic: all messages to it that are under way share it. */
interface Reservation {
  /** Messages under way. */
  messages: number;
  /** Undefined once the outcome is known. */
  settle: ((isCreated: boolean) => void) | undefined;
}

/** A message that may be the first one of its topic. */
export interface Creation {
  /** Set if the sender may create no more topics: the refusal if the topic does not exist. */
  readonly noNewTopic?: () => RefusalError;
  /** Must be called with the outcome: whether it was the first message of its topic. */
  readonly settled: (isFirst: boolean) => void;
}

/** Reserves the topics that messages under way may create. */
export class TopicCreations {
  private readonly reservations = new Map<string, Reservation>();

  constructor(
    private readonly users: Pick<UserQuotas, 'mayCreate' | 'admitTopic' | 'onCreated' | 'noNewTopic'>,
  ) {}

  /** `isKnown`: messages were stored in the topic lately, so most likely it exists, and nothing is reserved. */
  begin(userId: string, topic: string, isKnown: boolean): Creation {
    if (isKnown && this.users.mayCreate(userId)) return { settled: this.unreserved(userId) };
    const key = `${userId.length} ${userId}${topic}`;
    const reservation = this.reservations.get(key) ?? (isKnown ? undefined : this.reserve(userId, key));
    if (reservation === undefined)
      return { noNewTopic: () => this.users.noNewTopic(userId), settled: this.unreserved(userId) };
    reservation.messages++;
    return {
      settled: (isFirst) => {
        if (isFirst) {
          if (reservation.settle === undefined) this.users.onCreated(userId);
          reservation.settle?.(true);
          reservation.settle = undefined;
        }
        if (--reservation.messages > 0) return;
        this.reservations.delete(key);
        reservation.settle?.(false);
      },
    };
  }

  /** For messages that create a topic all the same: another one of their batch may, or the log has expired. */
  private unreserved(userId: string): Creation['settled'] {
    return (isFirst) => {
      if (isFirst) this.users.onCreated(userId);
    };
  }

  private reserve(userId: string, key: string): Reservation | undefined {
    const settle = this.users.admitTopic(userId);
    if (settle === undefined) return undefined;
    const reservation = { messages: 0, settle };
    this.reservations.set(key, reservation);
    return reservation;
  }
}
