import type { SessionStore } from '../session-store.js';
import { allSessions } from './session-walk.js';

export const backupFormat = 'rtc-sessions';
export const backupVersion = 1;

/** What a backup says of itself. */
interface BackupOrigin {
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** The replica that wrote it; null: the command line. */
  readonly replicaId: string | null;
}

/** What has been written so far. */
interface BackupCounts {
  sessions: number;
  /** Entries of the store that were no session, and are not in the backup. */
  malformed: number;
}

/**
 * The text of a backup of all sessions, piece by piece: one JSON document, a session a line. How many there are stands at its end, so that a
 * file that was cut off is recognised. `counts` is kept up to date.
 */
export async function* backupOf(
  store: Pick<SessionStore, 'page'>,
  { createdAt, replicaId }: BackupOrigin,
  counts: BackupCounts = { sessions: 0, malformed: 0 },
): AsyncGenerator<string> {
  const head = { format: backupFormat, version: backupVersion, created_at: createdAt, replica_id: replicaId };
  // Before the first piece, so that a store that is away is known before anything is written.
  const pages = allSessions(store, (malformed) => (counts.malformed += malformed));
  let page = await pages.next();
  yield `${JSON.stringify(head).slice(0, -1)},"sessions":[`;
  for (; page.done !== true; page = await pages.next()) {
    const lines = page.value.map((session) => JSON.stringify(session)).join(',\n');
    yield `${counts.sessions === 0 ? '\n' : ',\n'}${lines}`;
    counts.sessions += page.value.length;
  }
  yield `\n],"malformed":${counts.malformed},"count":${counts.sessions}}\n`;
}

/** The number of sessions, from the last characters of a backup; undefined if it was cut off. */
export function countAtEnd(tail: string): number | undefined {
  const count = /"count":(\d+)\}\s*$/.exec(tail)?.[1];
  return count === undefined ? undefined : Number(count);
}
