import type { KeptSession } from '../../sessions/session-store.js';

/** A session of a list. */
export interface ListedSession extends KeptSession {
  /** How many of its topics are not shown, because the answer would be too large. */
  readonly topics_left_out?: number;
}

/** Leaves topics out of the largest sessions, so that all of them together take no more than so many bytes. */
export function withFewerTopics(sessions: readonly KeptSession[], limitBytes: number): ListedSession[] {
  const sizes = sessions.map(sizeOf);
  // What small sessions do not use of their share is left to the others.
  let left = limitBytes;
  let share = Infinity;
  [...sizes]
    .sort((one, other) => one - other)
    .forEach((size, i) => {
      const own = left / (sizes.length - i);
      if (size > own && share === Infinity) share = own;
      left -= size;
    });
  return sessions.map((session, i) => (sizes[i]! <= share ? session : withinShare(session, share)));
}

function withinShare({ topics, reached: _, ...session }: KeptSession, share: number): ListedSession {
  const kept: Record<string, KeptSession['topics'][string]> = {};
  const all = Object.entries(topics);
  let bytes = sizeOf({ ...session, topics: {}, topics_left_out: all.length });
  let count = 0;
  for (const [topic, position] of all) {
    bytes += sizeOf(topic) + sizeOf(position) + 2;
    if (bytes > share) break;
    kept[topic] = position;
    count++;
  }
  return { ...session, topics: kept, topics_left_out: all.length - count };
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
