import { announcementOf } from '../../control/announcements.js';
import type { ControlChange, ControlState } from '../../control/control-state.js';
import type { Log } from '../../logging/log.js';
import type { AddressedNotification } from '../notifications/notification-operations.js';

interface ControlEffectsDependencies {
  readonly control: ControlState;
  readonly setPresenceShed: (shed: boolean) => void;
  /** `undefined`: the filter of the settings. */
  readonly setLogFilter: (filter: string | undefined) => void;
  /** Notifies the clients of this replica. */
  readonly notify: (notification: AddressedNotification) => void;
  readonly log: Log;
  readonly now: () => number;
}

/**
 * Applies the changes of operators to this replica, and notifies its clients. Other effects read
 * {@link ControlState} when they need it.
 */
export function applyControlChanges(dependencies: ControlEffectsDependencies): void {
  const { control, setPresenceShed, setLogFilter, notify, log, now } = dependencies;
  control.onChange((change: ControlChange) => {
    log.warn('Switched by an operator', { ...change });
    if (change.kind === 'presence') setPresenceShed(change.shed);
    if (change.kind === 'log_filter') setLogFilter(change.filter);
    const notification = announcementOf(change, now());
    if (notification === undefined) return;
    notify({ notification, ...(change.kind === 'topic' && { topic: change.topic }) });
  });
}
