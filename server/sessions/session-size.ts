import type { StoredSession } from './session-store.js';

/** Memory of a session beside its topics, and of a topic beside its name, in bytes. */
const sessionOverhead = 256;
const topicOverhead = 150;

/** Approximate memory of a session in this process, in bytes. */
export function sessionBytes({ id, topics }: StoredSession): number {
  let bytes = sessionOverhead + id.length;
  for (const topic in topics) bytes += topicOverhead + topic.length;
  return bytes;
}
