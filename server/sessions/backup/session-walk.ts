import type { KeptSession, SessionStore } from '../session-store.js';

/** Sessions per page. */
const pageSize = 1000;

/**
 * All sessions, page by page, each once: a store may return one again while it grows or shrinks. This keeps
 * the ids of returned sessions, about 100 bytes each. `onMalformed` receives the number of entries of a page
 * that are not sessions.
 */
export async function* allSessions(
  store: Pick<SessionStore, 'page'>,
  onMalformed: (count: number) => void = () => {},
): AsyncGenerator<readonly KeptSession[]> {
  const seen = new Set<string>();
  let cursor: string | undefined;
  do {
    const page = await store.page(cursor, pageSize);
    if (page.malformed > 0) onMalformed(page.malformed);
    const sessions = page.sessions.filter(({ id }) => {
      const isNew = !seen.has(id);
      seen.add(id);
      return isNew;
    });
    if (sessions.length > 0) yield sessions;
    cursor = page.next;
  } while (cursor !== undefined);
}
