import type { SessionStore } from '../session-store.js';
import { allSessions } from './session-walk.js';

export const backupFormat = 'rtc-sessions';
export const backupVersion = 1;

/** The header of a backup. */
interface BackupOrigin {
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** The replica that wrote it; null: written by the command line. */
  readonly replicaId: string | null;
}

/** Progress of a backup. */
interface BackupCounts {
  sessions: number;
  /** Entries of the store that are not sessions; they are left out. */
  malformed: number;
}

/**
 * The text of a backup of all sessions, in pieces: one JSON document with one session per line. The number of
 * sessions is at the end, so that a truncated file is recognised. `counts` is updated on the way.
 */
export async function* backupOf(
  store: Pick<SessionStore, 'page'>,
  { createdAt, replicaId }: BackupOrigin,
  counts: BackupCounts = { sessions: 0, malformed: 0 },
): AsyncGenerator<string> {
  const head = { format: backupFormat, version: backupVersion, created_at: createdAt, replica_id: replicaId };
  // Read before the first piece is returned: if the store is unreachable, this fails before anything is
  // written.
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

/** The number of sessions, from the last characters of a backup; undefined if the backup is truncated. */
export function countAtEnd(tail: string): number | undefined {
  const count = /"count":(\d+)\}\s*$/.exec(tail)?.[1];
  return count === undefined ? undefined : Number(count);
}
