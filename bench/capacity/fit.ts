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
  /** The costs follow from the points for calibration. Blind ones were chosen, and measured once, when the form was fixed. */
  readonly use: 'calibration' | 'blind check';
  /** Where it was measured after the others: the time, and the commit. */
  readonly measured?: { readonly at: string; readonly commit: string };
  readonly workload: Workload;
  readonly replicaCores: number;
  readonly redisCores: number;
}

/** What the work of the replicas, and that of Redis, consists of. */
export const kinds = {
  replicas: ['turns', 'publishes', 'receivedBatches', 'writes', 'idleWrites', 'deliveredBytes', 'replicas'],
  redis: ['redisTurns', 'publishes', 'appends', 'calls', 'receivedBytes', 'replicas'],
} as const satisfies Record<string, readonly ActivityName[]>;

/** Where the search for the times begins. */
const firstTiming: Timing = { turnMs: 0.15, redisTurnMs: 3 };

/**
 * Finds the costs and times that explain the points for calibration best, by the sum of squares of relative errors. Each
 * time in turn is made longer or shorter as long as that helps.
 */
export function fitCosts(points: readonly Point[]): ServiceCosts {
  const used = points.filter(({ use }) => use === 'calibration');
  if (used.length === 0) throw new RangeError('there are no points for calibration');
  let best = fitWith(firstTiming, used, { writes: 8 }, {});
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
  const product = (k: number, of: (i: number) => number) =>
    rows.reduce((sum, row, i) => sum + row[k]! * of(i), 0);
  const curvatures = x.map((_, k) => x.map((_, j) => product(k, (i) => rows[i]![j]!)));
  const gradients = x.map((_, k) => product(k, (i) => targets[i]!));
  for (let round = 0; round < 2000; round++) {
    let moved = 0;
    for (const [k, curvature] of curvatures.entries()) {
      const own = curvature[k]!;
      if (own === 0) continue;
      const step = Math.max(-x[k]!, gradients[k]! / own);
      x[k]! += step;
      for (let j = 0; j < width; j++) gradients[j]! -= step * curvature[j]!;
      moved = Math.max(moved, Math.abs(step) * Math.sqrt(own));
    }
    if (moved < 1e-7) break;
  }
  return x;
}
