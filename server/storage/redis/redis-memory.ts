import type { QuotaCounts } from '../../limits/quota-counts.js';
import { StoreMemory, type MemoryUse } from '../../limits/store-memory.js';
import type { Log } from '../../logging/log.js';
import type { RedisLink } from './redis-link.js';
import { infoFields } from './redis-info.js';

interface RedisMemoryDependencies {
  readonly link: RedisLink;
  readonly counts: QuotaCounts;
  readonly log: Log;
}

/** How often the memory is measured: if it has no limit, has one, and is running out, in milliseconds. */
const intervalMs = { unlimited: 2000, ample: 1000, else: 200 };

const remedy =
  'give Redis a larger maxmemory, or keep less: topics.history_size, topics.history_ttl_secs, direct.inbox_ttl_secs';

/** Measures the memory of Redis, periodically and on request. */
export class RedisMemory {
  readonly guard: StoreMemory;
  private readonly timer: NodeJS.Timeout;
  private isMeasuring = false;
  private measuredAt = -Infinity;

  constructor(
    private readonly dependencies: RedisMemoryDependencies,
    settings: { readonly reservedPercent: number },
  ) {
    const { counts, log } = dependencies;
    this.guard = new StoreMemory(
      { measure: () => this.measure(), counts, log },
      { ...settings, of: 'Redis', remedy },
    );
    this.timer = setInterval(() => this.look(), intervalMs.else);
    this.timer.unref();
    dependencies.link.onState((state) => {
      if (state === 'up') this.measure();
    });
  }

  /** Starts a measurement, unless one is in progress. */
  measure(): void {
    if (!this.isMeasuring && this.dependencies.link.state === 'up') void this.run();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const { level, max_bytes: maxBytes } = this.guard.state;
    const wait =
      maxBytes === 0 ? intervalMs.unlimited : level === 'ample' ? intervalMs.ample : intervalMs.else;
    if (performance.now() - this.measuredAt >= wait) this.measure();
  }

  /** Never rejects. */
  private async run(): Promise<void> {
    const { link } = this.dependencies;
    this.isMeasuring = true;
    try {
      this.guard.measuring();
      this.guard.measured(readMemory(String(await link.call(['INFO', 'memory']))));
      link.writes.measured(!this.guard.mayCreate);
    } catch {
      // The link reports what is wrong with it. The last measurement stays.
    } finally {
      this.measuredAt = performance.now();
      this.isMeasuring = false;
    }
  }
}

/** Reads the answer of `INFO memory`. */
function readMemory(info: string): MemoryUse {
  const fields = infoFields(info);
  const field = (name: string) => fields(name) ?? '';
  return {
    // As Redis compares it with maxmemory.
    usedBytes: Number(field('used_memory')) - Number(field('mem_not_counted_for_evict')),
    maxBytes: Number(field('maxmemory')),
    policy: field('maxmemory_policy'),
  };
}
