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
  /** The costs follow from the points for calibration; the others check them. Blind ones were unknown when the model was made. */
  readonly use: 'calibration' | 'check' | 'blind check';
  /** Where it was measured after the others: the time, and the commit. */
  readonly measured?: { readonly at: string; readonly commit: string };
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
    'replicas',
  ],
  redis: ['redisTurns', 'publishes', 'appends', 'calls', 'receivedBatches', 'receivedBytes', 'replicas'],
} as const satisfies Record<string, readonly ActivityName[]>;

/** Where the search for the times begins. */
const firstTiming: Timing = { turnMs: 0.2, redisTurnMs: 2, clientShare: 1 };

/**
 * Finds the costs and times that explain the points for calibration best, by the sum of squares of relative errors. Each
 * time in turn is made longer or shorter as long as that helps.
 */
export function fitCosts(points: readonly Point[]): ServiceCosts {
  const used = points.filter(({ use }) => use === 'calibration');
  if (used.length === 0) throw new RangeError('there are no points for calibration');
  let best = fitWith(firstTiming, used, { writes: 8, batches: 1, flushes: 20 }, {});
  for (let step = 2; step > 1.05;) {
    let improved = false;
    for (const name of Object.keys(firstTiming) as (keyof Timing)[])
      for (const factor of [step, 1 / step]) {
        const timing = { ...best.costs.timing, [name]: best.costs.timing[name] * factor };
        const other = fitWith(timing, used, best.costs.replicas, best.costs.redis);
        if (other.error >= best.error) continue;
        best = other;
        improved = true;
      }
    if (!improved) step = Math.sqrt(step);
  }
  return best.costs;
}

/** The costs that go with these times. The windows of topics, and so the activity, depend on the costs. */
function fitWith(timing: Timing, points: readonly Point[], replicas: Costs, redis: Costs) {
  let best: { readonly costs: ServiceCosts; readonly error: number } | undefined;
  for (let round = 0; round < 8; round++) {
    const activities = points.map(({ workload }) => activityOf(workload, { replicas, redis, timing }));
    const costs: ServiceCosts = {
      replicas: costsOf(kinds.replicas, activities, points, ({ replicaCores }) => replicaCores),
      redis: costsOf(kinds.redis, activities, points, ({ redisCores }) => redisCores),
      timing,
    };
    const error = errorOf(costs, points);
    if (best === undefined || error < best.error) best = { costs, error };
    replicas = mean(replicas, costs.replicas);
    redis = costs.redis;
  }
  return best!;
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
