import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Side, SideName } from '../processes.js';
import { comparePublished, describeComparison, type PublishedFigure } from './published.js';
import { chartsOf, tableOf } from './report.js';
import { runCurves, type CurvePart } from './run-curves.js';
import { curveWorks } from './works.js';

const root = join(__dirname, '..', '..', '..');
const results = join(root, 'bench', 'results');
const charts = join(root, 'docs', 'charts');

/** The options of the curves. */
export interface CurveOptions {
  readonly work: string | undefined;
  readonly side: string | undefined;
  readonly rounds: number;
  readonly quick: boolean;
  /** The comparison with uWebSockets.js is not possible here, for this reason. */
  readonly noUws: string | undefined;
  readonly onSide: (side: Side) => void;
  /** The first lines of a report: date, machine, command. */
  readonly head: readonly string[];
}

const log = (line: string) => void process.stderr.write(`${line}\n`);

function timing({ quick }: CurveOptions) {
  return quick ? { warmUpMs: 1500, windowMs: 2000 } : { warmUpMs: 4000, windowMs: 4000 };
}

/** Measures the curves, and writes the report, its data and the charts. */
export async function measureCurves(options: CurveOptions): Promise<void> {
  const works = curveWorks.filter(({ name }) => options.work === undefined || name === options.work);
  if (works.length === 0)
    throw new RangeError(
      `there is no work ${options.work}; there are ${curveWorks.map(({ name }) => name).join(', ')}`,
    );
  const isMeasured = (side: SideName) =>
    (options.side === undefined || side === options.side) && (side !== 'uws' || options.noUws === undefined);
  if (options.noUws !== undefined) log(`uWebSockets.js is left out: ${options.noUws}`);
  const parts = works.flatMap((work) =>
    work.loads.map((load): CurvePart => ({ work, load, sides: work.sides.filter(isMeasured) })),
  );
  const { rounds, onSide } = options;
  const points = await runCurves(parts, { rounds, ...timing(options), onSide, log });
  const text = [
    ...options.head,
    '',
    `Each point is the median of ${rounds} measurement${rounds === 1 ? '' : 's'}; the sides alternate.`,
    '',
    ...works.flatMap((work) => [tableOf(work, points), '']),
  ].join('\n');
  process.stdout.write(text);
  if (options.quick) return;
  mkdirSync(charts, { recursive: true });
  for (const work of works)
    for (const { name, svg } of chartsOf(work, points)) writeFileSync(join(charts, name), svg);
  const suffix = options.work === undefined ? 'curves' : `curves-${options.work}`;
  const name = join(results, `${new Date().toISOString().slice(0, 10)}-${suffix}`);
  writeFileSync(`${name}.md`, text);
  writeFileSync(`${name}.json`, `${JSON.stringify(points, null, 2)}\n`);
}

/** Measures the published figures again. Returns whether all of them still hold. */
export async function rebaseline(options: CurveOptions): Promise<boolean> {
  const path = join(root, 'bench', 'published.json');
  const figures = (JSON.parse(readFileSync(path, 'utf8')) as PublishedFigure[]).filter(
    ({ work, side, against }) =>
      (options.work === undefined || work === options.work) &&
      (options.noUws === undefined || (side !== 'uws' && against !== 'uws')),
  );
  const parts = new Map<string, CurvePart>();
  for (const { work: name, load, side, against } of figures) {
    const work = curveWorks.find((one) => one.name === name);
    if (work === undefined)
      throw new RangeError(`published.json names the work ${name}, which does not exist`);
    const key = `${name} ${load}`;
    const sides = new Set([...(parts.get(key)?.sides ?? []), side, against]);
    parts.set(key, { work, load, sides: [...sides] });
  }
  const { rounds, onSide } = options;
  const points = await runCurves([...parts.values()], { rounds, ...timing(options), onSide, log });
  const comparisons = comparePublished(figures, points);
  for (const comparison of comparisons) process.stdout.write(`${describeComparison(comparison)}\n`);
  return comparisons.every(({ hasDrifted }) => !hasDrifted);
}
