import { measure, Side, type Measurement, type SideName } from '../processes.js';
import { pointOf, type Point } from './point.js';
import type { CurveWork } from './works.js';

/** What is measured: a work at one load, on some sides. */
export interface CurvePart {
  readonly work: CurveWork;
  readonly load: number;
  readonly sides: readonly SideName[];
}

interface CurveRun {
  /** Measurements of each side; the sides alternate. */
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
  /** Called with each side that starts, so that an interrupted run can stop it. */
  readonly onSide: (side: Side) => void;
  readonly log: (line: string) => void;
}

/** Measures each part: its sides alternate, and each goes first in turn. */
export async function runCurves(parts: readonly CurvePart[], run: CurveRun): Promise<Point[]> {
  const points: Point[] = [];
  for (const { work, load, sides } of parts) {
    const measured = new Map<SideName, Measurement[]>(sides.map((side) => [side, []]));
    for (let round = 0; round < run.rounds; round++) {
      const first = round % sides.length;
      for (const name of [...sides.slice(first), ...sides.slice(0, first)]) {
        const measurement = await measureSide(name, work, load, run);
        if (measurement !== undefined) measured.get(name)!.push(measurement);
      }
    }
    const perMessage = (work.work.subscribers * work.work.topicsPerSubscriber) / work.work.topics;
    for (const [side, measurements] of measured) {
      if (measurements.length === 0) continue;
      const point = pointOf({ work: work.name, side, load }, measurements, perMessage);
      points.push(point);
      run.log(
        `${work.name} ${load}/s ${side}: ${point.cpuPerDeliveryUs.toPrecision(3)} µs per delivery, ${point.p50} / ${point.p99} / ${point.p999} ms, ${Math.round(point.delivered * 100)} % in time, load ${point.loadCores.toFixed(2)} cores, others ${point.otherCores.toFixed(2)}`,
      );
    }
  }
  return points;
}

/** Undefined if the side has not survived the load: that is a result too. */
async function measureSide(
  name: SideName,
  { work }: CurveWork,
  ratePerSec: number,
  { warmUpMs, windowMs, onSide, log }: CurveRun,
): Promise<Measurement | undefined> {
  const side = await Side.start(name);
  onSide(side);
  try {
    return await measure(side, { ...work, ratePerSec, warmUpMs, windowMs });
  } catch (error) {
    log(`${name} at ${ratePerSec}/s: ${(error as Error).message}`);
    return undefined;
  } finally {
    await side.stop();
  }
}
