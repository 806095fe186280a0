import type { AdminCalls } from '../admin-calls.js';
import type { AdminCaller } from '../admin-route.js';
import { shownNamespace } from './listed-socket.js';

/** What the audit log has beside an action. */
const by = 'Socket.IO Admin UI';

/** Features of the UI: each shows its buttons. Actions on all sockets, or all of a room, are left out. */
export const viewerFeatures = ['ALL_EVENTS', 'AGGREGATED_EVENTS'] as const;
export const operatorFeatures = [...viewerFeatures, 'JOIN', 'LEAVE', 'DISCONNECT'] as const;

/**
 * The events that the buttons of the UI send, as routes of the admin API: with their roles, checks and audit records. A room is a topic, so
 * a join is a subscription, by the rights of the client.
 */
export class UiActions {
  constructor(private readonly calls: Pick<AdminCalls, 'run' | 'refuse'>) {}

  /** The action of each event. They reject with RefusalError. */
  readonly handlers: Readonly<
    Record<string, (caller: AdminCaller, args: readonly unknown[]) => Promise<unknown>>
  > = {
    join: (caller, [namespace, room, id]) => this.ofRoom(caller, 'subscribe', namespace, id, room),
    leave: (caller, [namespace, room, id]) => this.ofRoom(caller, 'unsubscribe', namespace, id, room),
    _disconnect: async (caller, [namespace, , id]) =>
      this.calls.run(caller, {
        method: 'post',
        path: '/connections/:id/disconnect',
        params: { id: this.one(caller, 'disconnect', namespace, id) },
        body: {},
        by,
      }),
    emit: async (caller) =>
      this.calls.refuse(caller, `emit by the ${by}`, 'messages are published by /api/publish, not from here'),
  };

  private async ofRoom(
    caller: AdminCaller,
    action: 'subscribe' | 'unsubscribe',
    namespace: unknown,
    id: unknown,
    room: unknown,
  ): Promise<void> {
    await this.calls.run(caller, {
      method: 'post',
      path: `/connections/:id/${action}`,
      params: { id: this.one(caller, action, namespace, id) },
      body: { topics: [room] },
      by,
    });
  }

  /** The one socket that an action is for. Without it the protocol of the UI means all. */
  private one(caller: AdminCaller, action: string, namespace: unknown, id: unknown): string {
    if (namespace === shownNamespace && typeof id === 'string' && id !== '') return id;
    const message = `${action} is for one socket of the namespace ${shownNamespace}`;
    return this.calls.refuse(caller, `${action} by the ${by}`, message);
  }
}
