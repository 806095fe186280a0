import type { LogEntry } from './broker.js';

/**
 * Number of entries up to the first hole. A stored log has holes where single messages were removed, or where a replica
 * with another `topics.history_size` has stored none.
 */
export function countBeforeHole(entries: readonly LogEntry[]): number {
  for (let i = 1; i < entries.length; i++)
    if (entries[i]!.sequence !== entries[i - 1]!.sequence + 1) return i;
  return entries.length;
}
