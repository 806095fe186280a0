import type { MetricsDocument } from '../../metrics/metrics-document.js';

/** Seconds between two samples. Slots are multiples of it since 1970, so samples of several replicas fit together. */
export const sampleSecs = 5;
/** Ten minutes. */
const keptSamples = 120;

/** The figures of a replica in one slot of time. */
export interface FigureSample {
  /** Number of the slot: seconds since 1970, divided by {@link sampleSecs}. */
  readonly slot: number;
  readonly connections: number;
  readonly publishes_per_sec: number;
  readonly deliveries_per_sec: number;
  readonly refused_per_sec: number;
  /** 99th percentile of the delivery latency of the last one to two minutes. */
  readonly p99_ms: number;
  /** Share of the time in which the event loop was busy, 0 to 1. */
  readonly busy: number;
}

interface Counted {
  readonly at: number;
  readonly published: number;
  readonly delivered: number;
  readonly refused: number;
  readonly codes: MetricsDocument['refused'];
}

interface FigureSamplesDependencies {
  readonly metrics: () => MetricsDocument;
  /** Share of busy time since the call before. */
  readonly busy: () => number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The figures of this replica over the last ten minutes, so that a page that has just been opened shows how it has come to this. */
export class FigureSamples {
  private readonly samples: FigureSample[] = [];
  private before: Counted | undefined;
  private rates: Readonly<Record<string, number>> = {};

  constructor(private readonly dependencies: FigureSamplesDependencies) {}

  /** Takes a sample; to be called every {@link sampleSecs}. */
  take(): void {
    const { metrics, busy, now } = this.dependencies;
    const { messages, refused: codes, active_connections: connections, latency_ms } = metrics();
    const { published, delivered, refused } = messages;
    const counted = { at: now(), published, delivered, refused, codes };
    const before = this.before;
    this.before = counted;
    const isBusy = busy();
    if (before === undefined) return;
    const secs = Math.max(0.001, (counted.at - before.at) / 1000);
    const rate = (count: number, earlier: number) => Number((Math.max(0, count - earlier) / secs).toFixed(2));
    this.rates = Object.fromEntries(
      Object.entries(codes)
        .map(([code, count]) => [code, rate(count, before.codes[code as keyof typeof codes] ?? 0)] as const)
        .filter(([, perSec]) => perSec > 0),
    );
    this.samples.push({
      slot: Math.floor(counted.at / 1000 / sampleSecs),
      connections,
      publishes_per_sec: rate(published, before.published),
      deliveries_per_sec: rate(delivered, before.delivered),
      refused_per_sec: rate(refused, before.refused),
      p99_ms: latency_ms.delivery.p99,
      busy: Number(isBusy.toFixed(3)),
    });
    if (this.samples.length > keptSamples) this.samples.shift();
  }

  /** The oldest first. */
  all(): readonly FigureSample[] {
    return this.samples;
  }

  /** Refusals per second by code, of the last sample. */
  get refusedPerSec(): Readonly<Record<string, number>> {
    return this.rates;
  }
}

/** The samples of all replicas as one series: sums, and of latency and load the worst; up to the slot that all of them have. */
export function mergeSamples(all: readonly (readonly FigureSample[])[]): FigureSample[] {
  const bySlot = new Map<number, FigureSample>();
  // Replicas take their samples one after the other: a sum that lacks some of them would look like a fall.
  const complete = Math.min(...all.flatMap((samples) => samples.at(-1)?.slot ?? []));
  for (const sample of all.flat()) {
    if (sample.slot > complete) continue;
    const sum = bySlot.get(sample.slot);
    bySlot.set(sample.slot, sum === undefined ? sample : added(sum, sample));
  }
  return [...bySlot.values()].sort((one, other) => one.slot - other.slot).slice(-keptSamples);
}

function added(one: FigureSample, other: FigureSample): FigureSample {
  const sum = (field: keyof FigureSample) => Number((one[field] + other[field]).toFixed(2));
  return {
    slot: one.slot,
    connections: sum('connections'),
    publishes_per_sec: sum('publishes_per_sec'),
    deliveries_per_sec: sum('deliveries_per_sec'),
    refused_per_sec: sum('refused_per_sec'),
    p99_ms: Math.max(one.p99_ms, other.p99_ms),
    busy: Math.max(one.busy, other.busy),
  };
}
