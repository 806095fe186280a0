import { readFileSync } from 'node:fs';
import type { FurtherCosts } from './calibrate.js';
import { fitCosts, type Point } from './fit.js';
import type { Calibration, Limits } from './model.js';

/** The file of measured points. */
export interface Measured {
  readonly measuredAt: string;
  readonly machine: string;
  readonly commit: string;
  readonly points: readonly Point[];
  readonly further: FurtherCosts;
  /** Microseconds of Redis for each pair of replicas and second. */
  readonly replicaPairUs: number;
}

/** The costs that follow from the measured points. */
export function calibrationOf({ points, further, replicaPairUs }: Measured): Calibration {
  const { replicas, redis, timing } = fitCosts(points);
  return { replicas, redis: { ...redis, replicaPairs: replicaPairUs }, timing, further };
}

export function readMeasured(file: string): Measured {
  return JSON.parse(readFileSync(file, 'utf8')) as Measured;
}

/** Of a replica and of a Redis process, if nothing else is asked for. */
export const defaultLimits: Limits = {
  cores: 0.6,
  replicaMemoryBytes: 2048 * 2 ** 20,
  replicaSentBytesPerSec: 1e9 / 8,
  redisSentBytesPerSec: 1e9 / 8,
};
