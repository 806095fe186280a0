import { constants, PerformanceObserver, type NodeGCPerformanceDetail } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { systemClock, type Clock, type Timer } from '../primitives/clock.js';

/**
 * Garbage may take this share of what is alive before V8 collects it, in percent.
 */
const growthPercent = 25;
/** The same within this time after a collection, in milliseconds: where there is much garbage, many collections delay messages. */
const busyGrowthPercent = 100;
const busyMs = 250;
/** Above the larger size V8 decides by itself, and again below the smaller one: in a large heap, collecting takes its time. */
const largeBytes = 384 * 2 ** 20;
const smallBytes = 256 * 2 ** 20;
const checkMs = 5000;

const flag = '--heap-growing-percent=';
const ofV8 = 0;

/** What Node reports of a collection. */
interface Collection {
  readonly detail: NodeGCPerformanceDetail;
}

interface HeapGrowthDependencies {
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimer'>;
  /** Bytes of the heap that are in use. */
  readonly usedBytes: () => number;
  readonly setFlags: (flags: string) => void;
}

/**
 * Lets a small heap grow in small steps. On a machine with much memory, V8 lets it grow to four times of what is alive before it collects
 * garbage: a service that holds 40 MB takes 200 MB whenever it has much to do, also while somebody floods it.
 */
export class HeapGrowth {
  private isSmall = true;
  private busy: Timer | undefined;
  private percent: number | undefined;

  constructor(private readonly dependencies: HeapGrowthDependencies) {
    this.set();
  }

  check(): void {
    const used = this.dependencies.usedBytes();
    if (this.isSmall ? used <= largeBytes : used >= smallBytes) return;
    this.isSmall = !this.isSmall;
    this.set();
  }

  /** V8 has collected the whole heap. When the next collection ends, it computes anew how far the heap may grow. */
  collected(): void {
    const { clock } = this.dependencies;
    clock.clearTimer(this.busy);
    this.busy = clock.setTimeout(() => {
      this.busy = undefined;
      this.set();
    }, busyMs);
    this.busy.unref();
    this.set();
  }

  private set(): void {
    const percent = !this.isSmall ? ofV8 : this.busy === undefined ? growthPercent : busyGrowthPercent;
    if (percent === this.percent) return;
    this.percent = percent;
    this.dependencies.setFlags(`${flag}${percent}`);
  }
}

/** Applies {@link HeapGrowth} to this process, unless the operator has set the option of V8. */
export function limitHeapGrowth(options: readonly string[]): void {
  if (options.some((option) => /--heap[-_]growing[-_]percent/.test(option))) return;
  const growth = new HeapGrowth({
    clock: systemClock,
    usedBytes: () => getHeapStatistics().used_heap_size,
    setFlags: setFlagsFromString,
  });
  setInterval(() => growth.check(), checkMs).unref();
  const collections = new PerformanceObserver((list) => {
    const kinds = list.getEntries().map((entry) => (entry as unknown as Collection).detail.kind);
    if (kinds.includes(constants.NODE_PERFORMANCE_GC_MAJOR)) growth.collected();
  });
  collections.observe({ entryTypes: ['gc'] });
}
