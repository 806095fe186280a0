import type { EventEmitter } from 'node:events';
import type { Socket } from 'socket.io';
import type { Release } from '../connection-attempt.js';

interface Held {
  readonly releases: Set<Release>;
  readonly onClose: () => void;
}

/** By transport. */
const heldOn = new WeakMap<Socket['conn'], Held>();

/**
 * Calls `release` when a transport closes, at once if it has. A transport has one listener for all: its client may join any number of
 * namespaces, and Node would write a warning for it.
 */
export function holdUntilClosed(conn: Socket['conn'], release: Release): void {
  if (conn.readyState === 'closed') {
    release();
    return;
  }
  const known = heldOn.get(conn);
  if (known !== undefined) {
    known.releases.add(release);
    return;
  }
  const releases = new Set([release]);
  const onClose = () => {
    heldOn.delete(conn);
    for (const one of releases) one();
  };
  heldOn.set(conn, { releases, onClose });
  (conn as unknown as EventEmitter).once('close', onClose);
}

/** Undoes {@link holdUntilClosed}. */
export function noLongerHeld(conn: Socket['conn'], release: Release): void {
  const held = heldOn.get(conn);
  if (held?.releases.delete(release) !== true || held.releases.size > 0) return;
  heldOn.delete(conn);
  (conn as unknown as EventEmitter).off('close', held.onClose);
}
