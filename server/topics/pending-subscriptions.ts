import type { Connection } from '../protocol/connection.js';

/** A subscription that waits for a hook or for the log. */
export interface PendingSubscription {
  readonly topic: string;
  /** The client, or an operator, has unsubscribed it in the meantime. */
  isCancelled: boolean;
  readonly onCancelled: () => void;
}

type WithPending = Connection & Record<symbol, Set<PendingSubscription> | undefined>;

/** The subscriptions of all connections that are on their way. */
export class PendingSubscriptions {
  /**
   * Those of a connection are a property of it, while there are some: they come and go with every subscription, and the former tables of a `Map` would
   * keep them, see `Registry`.
   */
  private readonly key = Symbol('subscriptions on their way');

  /** @param onCancelled called when the subscription is cancelled: it has no effect any more */
  add(connection: Connection, topic: string, onCancelled: () => void): PendingSubscription {
    const pending = { topic, isCancelled: false, onCancelled };
    ((connection as WithPending)[this.key] ??= new Set()).add(pending);
    return pending;
  }

  end(connection: Connection, pending: PendingSubscription): void {
    const known = this.of(connection);
    known?.delete(pending);
    if (known?.size === 0) (connection as WithPending)[this.key] = undefined;
  }

  /** Topics that count for the limit. */
  *topicsOf(connection: Connection): Iterable<string> {
    for (const { topic, isCancelled } of this.of(connection) ?? []) if (!isCancelled) yield topic;
  }

  /** True if a subscription to the topic was on its way. */
  cancel(connection: Connection, topic: string): boolean {
    let was = false;
    for (const pending of this.of(connection) ?? []) {
      if (pending.topic !== topic || pending.isCancelled) continue;
      pending.isCancelled = true;
      pending.onCancelled();
      was = true;
    }
    return was;
  }

  private of(connection: Connection): Set<PendingSubscription> | undefined {
    return (connection as WithPending)[this.key];
  }
}
