import type { ControlChange } from './control-state.js';

/** A notification to the users of clients: `system_notification` on the wire. */
export interface SystemNotification {
  readonly level: 'info' | 'warning' | 'error';
  readonly message: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** The kind of change, for programs: `mode`, `presence`, `topic`. */
  readonly kind?: string;
  readonly mode?: string;
  readonly topic?: string;
}

/** The notification to clients about a change; undefined if the change does not affect connected clients. */
export function announcementOf(change: ControlChange, timestamp: number): SystemNotification | undefined {
  switch (change.kind) {
    case 'mode': {
      const reason = change.reason === undefined ? '' : `: ${change.reason}`;
      const message =
        change.mode === 'normal'
          ? 'The service is back to normal.'
          : `The service is in mode ${change.mode}${reason}`;
      const level = change.mode === 'normal' ? 'info' : 'warning';
      return { level, message, timestamp, kind: 'mode', mode: change.mode };
    }
    case 'presence': {
      const message = change.shed ? 'Presence is switched off.' : 'Presence is back.';
      return { level: change.shed ? 'warning' : 'info', message, timestamp, kind: 'presence' };
    }
    case 'topic': {
      const message = change.frozen
        ? `Topic ${change.topic} is frozen: nothing can be published to it.`
        : `Topic ${change.topic} is open again.`;
      const level = change.frozen ? 'warning' : 'info';
      return { level, message, timestamp, kind: 'topic', topic: change.topic };
    }
    default:
      return undefined;
  }
}
