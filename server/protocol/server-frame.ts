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
