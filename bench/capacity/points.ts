import type { Work } from '../processes.js';
import type { Point } from './fit.js';

/** A workload that is measured. */
export interface PlannedPoint extends Pick<Point, 'name' | 'use'> {
  readonly replicas: number;
  readonly work: Pick<
    Work,
    'subscribers' | 'topics' | 'topicsPerSubscriber' | 'publishers' | 'ratePerSec' | 'payloadBytes'
  >;
}

type Shape = readonly [
  replicas: number,
  topics: number,
  subscribers: number,
  topicsEach: number,
  publishers: number,
  perSec: number,
  payloadBytes?: number,
];

const calibration: readonly Shape[] = [
  [2, 1, 2000, 1, 0, 0],
  [4, 1, 40, 1, 0, 0],
  [2, 1, 50, 1, 2, 1000],
  [2, 1, 500, 1, 2, 1000],
  [2, 1, 500, 1, 2, 6000],
  [2, 1, 2000, 1, 2, 50],
  [2, 1, 200, 1, 2, 1000, 2000],
  [2, 20, 2, 1, 20, 10_000],
  [2, 200, 2, 1, 20, 2000],
  [2, 1000, 500, 10, 10, 2000],
  [2, 200, 500, 20, 10, 1000],
  [2, 50, 500, 1, 10, 500],
  [4, 1, 400, 1, 2, 500],
  [2, 1, 300, 1, 2, 2000, 400],
  [2, 1, 300, 1, 2, 200, 1000],
  [2, 1, 250, 1, 2, 600, 1500],
  [2, 20, 2, 1, 20, 2000],
  [2, 20, 2, 1, 20, 16_000],
  [2, 1000, 500, 10, 10, 500],
  [2, 1000, 500, 10, 10, 7000],
  [2, 100, 500, 5, 10, 4000],
  [2, 500, 500, 5, 10, 3000],
  [2, 20, 800, 1, 10, 150],
  [4, 40, 500, 4, 10, 400],
  [4, 200, 400, 5, 8, 2000],
  [2, 1, 500, 1, 2, 3000],
  [2, 1, 1000, 1, 2, 100],
  [2, 100, 1000, 5, 10, 2000],
  [2, 20, 2, 1, 20, 20_000],
  [2, 1000, 500, 10, 10, 5000],
  [2, 1, 300, 1, 2, 500, 1000],
  [4, 40, 500, 4, 10, 1000],
  [2, 10, 1000, 1, 10, 300],
  [2, 1, 500, 1, 2, 2000],
  [2, 1, 800, 1, 2, 300],
  [2, 20, 2, 1, 20, 5000],
  [2, 500, 400, 10, 10, 3000],
  [2, 1, 400, 1, 2, 300, 600],
  [4, 100, 500, 4, 8, 800],
  [2, 20, 600, 2, 10, 400],
  [4, 1, 600, 1, 2, 800],
];

/** Chosen, and measured once, when the form of the model was fixed. */
const blind: readonly Shape[] = [
  [2, 1, 150, 1, 2, 400],
  [2, 1, 800, 1, 2, 50],
  [2, 10, 500, 1, 10, 600],
  [2, 40, 400, 2, 10, 700, 500],
  [2, 100, 2, 1, 20, 3000],
  [2, 300, 300, 10, 10, 1500],
  [4, 1, 200, 1, 2, 200],
  [4, 60, 300, 4, 8, 500],
];

const planned =
  (use: Point['use']) =>
  ([
    replicas,
    topics,
    subscribers,
    topicsPerSubscriber,
    publishers,
    ratePerSec,
    bytes,
  ]: Shape): PlannedPoint => {
    const payloadBytes = bytes ?? 80;
    const audience = Math.round((subscribers * topicsPerSubscriber) / topics);
    return {
      name: `${replicas} replicas, ${topics} topics, ${subscribers} connections with ${topicsPerSubscriber} topics (${audience} per topic), ${ratePerSec} msg/s of ${payloadBytes} bytes`,
      use,
      replicas,
      work: { subscribers, topics, topicsPerSubscriber, publishers, ratePerSec, payloadBytes },
    };
  };

/** What `npm run simulate -- --calibrate` measures. */
export const plannedPoints: readonly PlannedPoint[] = [
  ...calibration.map(planned('calibration')),
  ...blind.map(planned('blind check')),
];
