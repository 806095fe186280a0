/** A frame to a `/ws` client. */
export interface ServerFrame {
  readonly type: string;
  readonly data: unknown;
  readonly id?: string | number;
}

/** Events of the service and the frame types they have on `/ws`. */
export const frameTypes: Readonly<Record<string, string>> = {
  message: 'Broadcast',
  direct: 'Direct',
  presence: 'Presence',
  status: 'Status',
  system_notification: 'SystemNotification',
  gap: 'Gap',
  token_expiring: 'TokenExpiring',
  error: 'Error',
};

/** `2` event, optional attachments count, optional namespace, optional acknowledgement id, then JSON (Socket.IO protocol v5). */
const eventPacket = /^[25](?:\d+-)?(?:\/[^,]*,)?\d*(\[.*)$/s;

/**
 * Translates a packet that Socket.IO wrote into a frame. Connection packets have no counterpart on `/ws` and give none; events that are
 * not the service's own (an embedding application's) become `Event` frames.
 */
export function translatePacket(packet: string): ServerFrame | undefined {
  const content = eventPacket.exec(packet)?.[1];
  if (content === undefined) return undefined;
  const [event, ...args] = JSON.parse(content) as [string, ...unknown[]];
  const type = frameTypes[event];
  return type === undefined ? { type: 'Event', data: { event, args } } : { type, data: args[0] ?? null };
}
