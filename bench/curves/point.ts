import type { Measurement, SideName } from '../processes.js';

/** What one side did at one load: medians over the rounds. */
export interface Point {
  readonly work: string;
  readonly side: SideName;
  readonly load: number;
  readonly rounds: number;
  /** Processor time of servers and Redis per delivery, in microseconds. */
  readonly cpuPerDeliveryUs: number;
  /** Processor seconds of servers and Redis per second. */
  readonly cores: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** Part of the expected deliveries that came within the window, at most 1. */
  readonly delivered: number;
  /** All messages were delivered, once and in order, and the side kept up with the load. */
  readonly isComplete: boolean;
  /** Processor seconds of the load process per second. */
  readonly loadCores: number;
  /** Processor seconds per second of everything else on the machine. */
  readonly otherCores: number;
}

/** A side has fallen behind if less than this part of its deliveries comes within the window. */
const keepsUpFrom = 0.95;

/** A load process that is busier than this is itself what limits: the point counts for nothing. */
export const loadCoresMax = 0.7;

/** If other programs use more than this, the machine is not quiet: the point counts for nothing either. */
export const otherCoresMax = 0.2;

/** The median of the measurements of a point. `perMessage`: deliveries that a message should have. */
export function pointOf(
  at: Pick<Point, 'work' | 'side' | 'load'>,
  measurements: readonly Measurement[],
  perMessage: number,
): Point {
  const middle = (read: (one: Measurement) => number) => median(measurements.map(read));
  const secsOf = ({ windowMs }: Measurement) => windowMs / 1000;
  const delivered = middle((one) => Math.min(1, one.delivered / Math.max(1, one.offered * perMessage)));
  return {
    ...at,
    rounds: measurements.length,
    cpuPerDeliveryUs: middle((one) => (one.cpuSecs / one.delivered) * 1e6),
    cores: middle((one) => one.cpuSecs / secsOf(one)),
    p50: middle(({ p50 }) => p50),
    p99: middle(({ p99 }) => p99),
    p999: middle(({ p999 }) => p999),
    delivered,
    isComplete:
      delivered >= keepsUpFrom && measurements.every((one) => one.missing === 0 && one.disorder === 0),
    loadCores: middle((one) => one.loadCpuSecs / secsOf(one)),
    otherCores: middle((one) => one.otherCpuSecs / secsOf(one)),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? NaN : (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}
