import { RefusalError } from '../../../shared/errors.js';
import type { Log } from '../../logging/log.js';
import { cutLevel } from './cut-level.js';
import { memoryOf, nothing, trimTo, type MemoryLog, type MemoryOfLog } from './memory-log.js';

interface HistoryMemoryDependencies {
  readonly log: Log;
}

interface HistoryMemorySettings {
  /** Memory of all logs together, in bytes. */
  readonly limitBytes: number;
}

/** Room is made down to this share of the limit, so that it is made rarely. */
const roomyShare = 0.95;
/** If not enough room can be made, it is tried again after this. */
const retryMs = 200;
const warnEveryMs = 3_600_000;
const retryAfterMs = 5000;

/**
 * The limit of memory of the logs of a process that runs without Redis. When it is reached, the oldest messages
 * of the largest histories are removed early, as if `topics.history_size` were smaller: a reader whose position
 * is affected is notified, with `recovered: false` or a gap.
 */
export class HistoryMemory {
  private usedBytes = 0;
  private fixed = 0;
  private retryAt = -Infinity;
  private warnedAt = -Infinity;
  /** Messages removed early, since the start. */
  removed = 0;

  constructor(
    private readonly dependencies: HistoryMemoryDependencies,
    private readonly settings: HistoryMemorySettings,
  ) {}

  get isFull(): boolean {
    return this.usedBytes > this.settings.limitBytes;
  }

  get bytes(): number {
    return this.usedBytes;
  }

  /** Of these, the ones that cannot be freed by removing messages early: topics, idempotency keys, inboxes. */
  get fixedBytes(): number {
    return this.fixed;
  }

  /** A log has changed. */
  count(log: MemoryLog): void {
    this.change(log, memoryOf(log));
  }

  /** A log is no longer kept. */
  forget(log: MemoryLog): void {
    this.change(log, nothing);
  }

  /** Cuts the largest histories to one size, at which all fit. False if that is not enough. */
  makeRoom(histories: () => MemoryLog[], now: number, topic: string): boolean {
    if (now < this.retryAt) return false;
    const logs = histories().sort((a, b) => b.historyBytes - a.historyBytes);
    const excess = this.usedBytes - this.settings.limitBytes * roomyShare;
    const limit = cutLevel(
      logs.map(({ historyBytes }) => historyBytes),
      excess,
    );
    for (const log of logs) {
      if (log.historyBytes <= limit) break;
      this.removed += trimTo(log, limit);
      this.count(log);
    }
    if (this.isFull) this.retryAt = now + retryMs;
    if (now - this.warnedAt >= warnEveryMs) {
      this.warnedAt = now;
      this.dependencies.log.warn(
        'The memory of the logs is full: the oldest messages of the largest topics are removed early',
        {
          limit_bytes: this.settings.limitBytes,
          topic,
          remedy:
            'raise topics.memory_bytes, keep less with topics.history_size or topics.history_ttl_secs, or use Redis',
        },
      );
    }
    return !this.isFull;
  }

  /** The refusal when no room can be made. */
  refusal(): RefusalError {
    return new RefusalError('unavailable', 'the memory for messages is full: nothing was stored', {
      retryAfterMs,
    });
  }

  private change(log: MemoryLog, to: MemoryOfLog): void {
    this.usedBytes += to.total - log.counted.total;
    this.fixed += to.fixed - log.counted.fixed;
    log.counted = to;
  }
}
