import type { RecordableHistogram } from 'node:perf_hooks';
import type { LoadTransport } from './load-client.js';

/** What a worker does. */
export interface WorkerPlan {
  readonly url: string;
  readonly run: string;
  readonly transport: LoadTransport;
  readonly timeoutMs: number;
  /** When the ramp begins, in milliseconds since 1970. */
  readonly startAt: number;
  readonly rampMs: number;
  readonly durationMs: number;
  /** Messages per second and connection. */
  readonly ratePerSec: number;
  /** Its clients, each with its share of the ramp, 0 to 1. */
  readonly clients: readonly { readonly token: string; readonly topic: string; readonly at: number }[];
}

/** What happened in one second, or in all. */
export interface LoadCounts {
  connected: number;
  sent: number;
  acknowledged: number;
  received: number;
}

/** From a worker, every second. */
export interface WorkerTick {
  readonly kind: 'tick';
  readonly counts: LoadCounts;
  /** Latencies of that second, in microseconds. */
  readonly latency: RecordableHistogram;
}

/** From a worker, at its end. */
export interface WorkerEnd {
  readonly kind: 'end';
  /** Deliveries that were due: each acknowledged message to each subscriber. */
  readonly expected: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  readonly epochs: number;
  readonly errors: Readonly<Record<string, number>>;
}

/** Up to a minute, in microseconds, to three figures. */
export const histogramOptions = { lowest: 1, highest: 60_000_000, figures: 3 } as const;
