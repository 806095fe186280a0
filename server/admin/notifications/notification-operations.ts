import type { SystemNotification } from '../../control/announcements.js';
import type { Connection } from '../../protocol/connection.js';
import { operation, type ClusterOperations } from '../cluster-operations.js';

/** A notification, with the clients it is for: all, or those that match each given field. */
export interface AddressedNotification {
  readonly notification: SystemNotification;
  readonly users?: readonly string[] | undefined;
  /** Only subscribers of this topic. */
  readonly topic?: string | undefined;
  /** Only clients that have one of these roles. */
  readonly roles?: readonly string[] | undefined;
}

export const notifyClients = operation<AddressedNotification, { readonly notified: number }>('notify');

interface NotificationOperationsDependencies {
  readonly connections: () => Iterable<Connection>;
  readonly subscribers: (topic: string) => Iterable<Connection>;
}

/** Sends notifications to the clients of this replica. */
export class NotificationOperations {
  constructor(private readonly dependencies: NotificationOperationsDependencies) {}

  /** Registers the answers of this replica. */
  serve(cluster: ClusterOperations): void {
    cluster.answer(notifyClients, (asked) => this.notify(asked));
  }

  notify({ notification, users, topic, roles }: AddressedNotification): { notified: number } {
    const { connections, subscribers } = this.dependencies;
    let notified = 0;
    // A copy: a connection that fails on writing is removed from the list.
    for (const connection of [...(topic === undefined ? connections() : subscribers(topic))]) {
      const { identity } = connection;
      if (users !== undefined && !users.includes(identity.userId)) continue;
      if (roles !== undefined && !roles.some((role) => identity.roles.includes(role))) continue;
      connection.emit('system_notification', notification);
      notified++;
    }
    return { notified };
  }
}
