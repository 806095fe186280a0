import { activityOf } from './activity.js';
import {
  coresOf,
  type Activity,
  type ActivityName,
  type Costs,
  type ServiceCosts,
  type Timing,
  type Workload,
} from './workload.js';

/** A measured workload: processor seconds per second of all replicas together, and of Redis. */
export interface Point {
  readonly name: string;
  /** The costs follow from the points for calibration; the others check them. */
  readonly use: 'calibration' | 'check';
  readonly workload: Workload;
  readonly replicaCores: number;
  readonly redisCores: number;
}

/** What the work of the replicas, and that of Redis, consists of. */
export const kinds = {
  replicas: [
    'turns',
    'publishes',
    'appends',
    'calls',
    'receivedBatches',
    'receivedMessages',
    'flushes',
    'batches',
    'writes',
    'deliveries',
    'deliveredBytes',
    'connections',
    'replicas',
  ],
  redis: ['redisTurns', 'publishes', 'appends', 'calls', 'receivedBatches', 'replicas'],
} as const satisfies Record<string, readonly ActivityName[]>;

/** The times that are tried. */
const timings: readonly Timing[] = [1, 1.15, 1.3, 1.5, 1.75, 2].flatMap((loopStretch) =>
  [0.5, 1, 2].flatMap((callMs) =>
    [0.7, 1, 1.4, 2, 3].flatMap((turnMs) =>
      [0.3, 1, 2].map((redisTurnMs) => ({ loopStretch, callMs, turnMs, redisTurnMs })),
    ),
  ),
);

/** Finds the costs and times that explain the points for calibration best, by the sum of squares of relative errors. */
export function fitCosts(points: readonly Point[]): ServiceCosts {
  const used = points.filter(({ use }) => use === 'calibration');
  let best: ServiceCosts | undefined;
  let leastError = Infinity;
  for (const timing of timings) {
    // The window of a topic, and so the activity, depends on the costs.
    let replicas: Costs = { writes: 8, batches: 1, flushes: 20 };
    for (let round = 0; round < 6; round++) {
      const activities = used.map(({ workload }) => activityOf(workload, { replicas, timing }));
      const found: ServiceCosts = {
        replicas: costsOf(kinds.replicas, activities, used, ({ replicaCores }) => replicaCores),
        redis: costsOf(kinds.redis, activities, used, ({ redisCores }) => redisCores),
        timing,
      };
      const error = errorOf(found, used);
      if (error < leastError) [best, leastError] = [found, error];
      replicas = mean(replicas, found.replicas);
    }
  }
  if (best === undefined) throw new RangeError('there are no points for calibration');
  return best;
}

function costsOf(
  names: readonly ActivityName[],
  activities: readonly Activity[],
  points: readonly Point[],
  cores: (point: Point) => number,
): Costs {
  const rows = activities.map((activity, i) => {
    const measured = Math.max(cores(points[i]!), leastCores) * 1e6;
    return names.map((name) => activity[name] / measured);
  });
  const targets = points.map((point) => cores(point) / Math.max(cores(point), leastCores));
  const solution = nonNegativeLeastSquares(rows, targets);
  return Object.fromEntries(names.map((name, i) => [name, solution[i]!]));
}

function errorOf(costs: ServiceCosts, points: readonly Point[]): number {
  let error = 0;
  for (const { workload, replicaCores, redisCores } of points) {
    const activity = activityOf(workload, costs);
    error += ((coresOf(activity, costs.replicas) - replicaCores) / Math.max(replicaCores, leastCores)) ** 2;
    error += ((coresOf(activity, costs.redis) - redisCores) / Math.max(redisCores, leastCores)) ** 2;
  }
  return error;
}

/** Processor time is measured in hundredths of a second: below this, the error counts by its size and not by its share. */
const leastCores = 0.02;

function mean(some: Costs, others: Costs): Costs {
  return Object.fromEntries(
    kinds.replicas.map((name) => [name, ((some[name] ?? 0) + (others[name] ?? 0)) / 2]),
  );
}

/**
 * The x of at least 0 with the least |rows · x − targets|², by coordinate descent: each coordinate in turn takes its best
 * value, or 0. (V. Franc, V. Hlaváč, M. Navara: Sequential coordinate-wise algorithm for the non-negative least squares problem, 2005.)
 */
export function nonNegativeLeastSquares(
  rows: readonly (readonly number[])[],
  targets: readonly number[],
): number[] {
  const width = rows[0]?.length ?? 0;
  const x = new Array<number>(width).fill(0);
  const residuals = [...targets];
  for (let round = 0; round < 2000; round++) {
    let moved = 0;
    for (let k = 0; k < width; k++) {
      let gradient = 0;
      let curvature = 0;
      for (const [i, row] of rows.entries()) {
        gradient += row[k]! * residuals[i]!;
        curvature += row[k]! ** 2;
      }
      if (curvature === 0) continue;
      const step = Math.max(-x[k]!, gradient / curvature);
      x[k]! += step;
      for (const [i, row] of rows.entries()) residuals[i]! -= step * row[k]!;
      moved = Math.max(moved, Math.abs(step) * Math.sqrt(curvature));
    }
    if (moved < 1e-7) break;
  }
  return x;
}
