import { activityOf } from './activity.js';
import type { ActivityName, Costs, Workload } from './workload.js';

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
  redis: ['publishes', 'appends', 'calls', 'receivedBatches', 'replicas'],
} as const satisfies Record<string, readonly ActivityName[]>;

export interface ServiceCosts {
  readonly replicas: Costs;
  readonly redis: Costs;
}

/** Finds the costs that explain the points for calibration best, by the sum of squares of relative errors. */
export function fitCosts(points: readonly Point[]): ServiceCosts {
  const used = points.filter(({ use }) => use === 'calibration');
  let costs: ServiceCosts = { replicas: { writes: 8, batches: 1, flushes: 20 }, redis: {} };
  // The window of a topic, and so the activity, depends on the costs.
  for (let round = 0; round < 20; round++) {
    const activities = used.map(({ workload }) => activityOf(workload, costs.replicas));
    const solve = (names: readonly ActivityName[], cores: readonly number[]): Costs => {
      const rows = activities.map((activity, i) => names.map((name) => activity[name] / (cores[i]! * 1e6)));
      const solution = nonNegativeLeastSquares(
        rows,
        cores.map(() => 1),
      );
      return Object.fromEntries(names.map((name, i) => [name, solution[i]!]));
    };
    costs = {
      replicas: solve(
        kinds.replicas,
        used.map(({ replicaCores }) => replicaCores),
      ),
      redis: solve(
        kinds.redis,
        used.map(({ redisCores }) => redisCores),
      ),
    };
  }
  return costs;
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
  for (let round = 0; round < 20_000; round++) {
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
    if (moved < 1e-9) break;
  }
  return x;
}
