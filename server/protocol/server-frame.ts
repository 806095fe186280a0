import type { ExactNumber } from './exact-json.js';

/** The id of a request, which its answer has too. */
export type FrameId = string | number | ExactNumber;

/** A frame to a `/ws` client. */
export interface ServerFrame {
  readonly type: string;
  readonly data: unknown;
  readonly id?: FrameId;
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
