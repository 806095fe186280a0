import type { QuotaCounts } from '../../limits/quota-counts.js';
import { StoreMemory } from '../../limits/store-memory.js';
import type { Log } from '../../logging/log.js';
import type { HistoryMemory } from './history-memory.js';
import type { MemoryBroker } from './memory-broker.js';

interface FixedMemoryDependencies {
  readonly memory: HistoryMemory;
  readonly broker: MemoryBroker;
  readonly counts: QuotaCounts;
  readonly log: Log;
}

/** This share of the limit is never taken by topics, keys and inboxes, in percent; they are scarce from twice of it on. */
const reservedPercent = 10;

/**
 * Shares out the memory of the logs of a process without Redis, as far as it cannot be freed by removing messages early: a user who creates
 * topics, keys and unread direct messages without end would keep all others from publishing until they expire.
 */
export function fixedMemory(
  { memory, broker, counts, log }: FixedMemoryDependencies,
  { topics }: { readonly topics: { readonly memoryBytes: number } },
): StoreMemory {
  const measure = () => {
    guard.measuring();
    guard.measured({
      usedBytes: memory.fixedBytes,
      maxBytes: topics.memoryBytes,
      policy: 'noeviction',
    });
  };
  const guard = new StoreMemory(
    { measure, isFree: ({ topic, key }) => key === undefined && broker.isKept(topic), counts, log },
    {
      reservedPercent,
      of: 'the logs',
      remedy:
        'raise topics.memory_bytes, limit what users store with limits.user_new_topics and limits.user_stored_bytes, or use Redis',
    },
  );
  measure();
  return guard;
}
