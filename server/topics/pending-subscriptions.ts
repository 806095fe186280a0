import type { Connection } from '../protocol/connection.js';

/** A subscription that waits for a hook or for the log. */
export interface PendingSubscription {
  readonly topic: string;
  /** The client, or an operator, has unsubscribed it in the meantime. */
  isCancelled: boolean;
  readonly onCancelled: () => void;
}

/** The subscriptions of all connections that are on their way. */
export class PendingSubscriptions {
  private readonly byConnection = new Map<Connection, Set<PendingSubscription>>();

  /** @param onCancelled called when the subscription is cancelled: it has no effect any more */
  add(connection: Connection, topic: string, onCancelled: () => void): PendingSubscription {
    const pending = { topic, isCancelled: false, onCancelled };
    const known = this.byConnection.get(connection);
    if (known === undefined) this.byConnection.set(connection, new Set([pending]));
    else known.add(pending);
    return pending;
  }

  end(connection: Connection, pending: PendingSubscription): void {
    const known = this.byConnection.get(connection);
    known?.delete(pending);
    if (known?.size === 0) this.byConnection.delete(connection);
  }

  /** Topics that count for the limit. */
  *topicsOf(connection: Connection): Iterable<string> {
    for (const { topic, isCancelled } of this.byConnection.get(connection) ?? [])
      if (!isCancelled) yield topic;
  }

  /** True if a subscription to the topic was on its way. */
  cancel(connection: Connection, topic: string): boolean {
    let was = false;
    for (const pending of this.byConnection.get(connection) ?? []) {
      if (pending.topic !== topic || pending.isCancelled) continue;
      pending.isCancelled = true;
      pending.onCancelled();
      was = true;
    }
    return was;
  }
}
