import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Side, SideName } from '../processes.js';
import { processorModel } from '../report-head.js';
import { comparePublished, describeComparison, otherProcessors, type PublishedFigure } from './published.js';
import type { Point } from './point.js';
import { chartsOf, tableOf, voidBecause } from './report.js';
import { runCurves, type CurvePart } from './run-curves.js';
import { curveWorks, type CurveWork } from './works.js';

const root = join(__dirname, '..', '..', '..');
const results = join(root, 'bench', 'results');
const charts = join(root, 'docs', 'charts');
/** The published figures. */
export const publishedManifest = join(root, 'bench', 'published.json');

/** The options of the curves. */
export interface CurveOptions {
  readonly work: string | undefined;
  readonly side: string | undefined;
  /** Messages per second; empty: all loads. */
  readonly loads: readonly number[];
  readonly rounds: number;
  readonly quick: boolean;
  /** Installs uWebSockets.js. Returns why the comparison with it is not possible here; undefined: it is. */
  readonly obtainUws: () => string | undefined;
  readonly onSide: (side: Side) => void;
  /** The first lines of a report: date, machine, command. */
  readonly head: readonly string[];
  readonly commit: string;
}

/** The data beside a report. */
interface CurveData {
  readonly commit: string;
  readonly points: readonly Point[];
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
  const isChosen = (side: SideName) => options.side === undefined || side === options.side;
  checkChosen(works, options);
  const noUws = works.some(({ sides }) => sides.some((side) => side === 'uws' && isChosen(side)))
    ? options.obtainUws()
    : undefined;
  if (noUws !== undefined) log(`uWebSockets.js is left out: ${noUws}`);
  const isMeasured = (side: SideName) => isChosen(side) && (side !== 'uws' || noUws === undefined);
  const parts = works.flatMap((work) =>
    work.loads
      .filter((load) => options.loads.length === 0 || options.loads.includes(load))
      .map((load): CurvePart => ({ work, load, sides: work.sides.filter(isMeasured) })),
  );
  const { rounds, onSide } = options;
  const name = join(results, `${new Date().toISOString().slice(0, 10)}-curves`);
  let points: readonly Point[] = [];
  for (const part of parts) {
    const measured = await runCurves([part], { rounds, ...timing(options), onSide, log });
    if (options.quick) {
      points = [...points, ...measured];
      continue;
    }
    // After each part, so that an interrupted run keeps what it has measured.
    points = merge(readData(`${name}.json`), measured, options.commit);
    writeResults(name, points, options);
  }
  process.stdout.write(textOf(points, options));
}

/** A typing mistake must not replace the report of the day by an empty one. @throws RangeError */
function checkChosen(works: readonly CurveWork[], { side, loads }: CurveOptions): void {
  const sides = [...new Set(works.flatMap((work) => work.sides))];
  if (side !== undefined && !sides.some((name) => name === side))
    throw new RangeError(`there is no side ${side} in this work; there are ${sides.join(', ')}`);
  const known = [...new Set(works.flatMap((work) => work.loads))];
  for (const load of loads)
    if (!known.includes(load))
      throw new RangeError(`there is no load ${load} in this work; there are ${known.join(', ')}`);
}

function textOf(points: readonly Point[], { head }: CurveOptions): string {
  const shown = curveWorks.filter((work) => points.some((point) => point.work === work.name));
  return [
    ...head,
    '',
    'Each point is the median of its rounds; the sides of a load alternate. CPU is that of all server processes and Redis. Servers and load share the',
    'processors.',
    '',
    ...shown.flatMap((work) => [tableOf(work, points), '']),
  ].join('\n');
}

/** Writes the report, its data, and the charts of the works that have points. */
function writeResults(name: string, points: readonly Point[], options: CurveOptions): void {
  mkdirSync(charts, { recursive: true });
  for (const work of curveWorks) {
    if (!points.some((point) => point.work === work.name)) continue;
    for (const { name: file, svg } of chartsOf(work, points)) writeFileSync(join(charts, file), svg);
  }
  writeFileSync(`${name}.md`, textOf(points, options));
  const data: CurveData = { commit: options.commit, points };
  writeFileSync(`${name}.json`, `${JSON.stringify(data, null, 2)}\n`);
}

function readData(path: string): CurveData | undefined {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as CurveData) : undefined;
}

/** Parts can be measured one by one: earlier points of the same day and commit stay, unless they were measured again. */
function merge(earlier: CurveData | undefined, measured: readonly Point[], commit: string): readonly Point[] {
  if (earlier?.commit !== commit) return measured;
  const isAgain = (point: Point) =>
    measured.some(
      ({ work, side, load }) => work === point.work && side === point.side && load === point.load,
    );
  return [...earlier.points.filter((point) => !isAgain(point)), ...measured];
}

/** Measures the published figures again. Returns whether all of them still hold. */
export async function rebaseline(options: CurveOptions, manifest: string): Promise<boolean> {
  const all = JSON.parse(readFileSync(manifest, 'utf8')) as PublishedFigure[];
  const figures = all.filter(
    ({ work, load }) =>
      (options.work === undefined || work === options.work) &&
      (options.loads.length === 0 || options.loads.includes(load)),
  );
  if (figures.length === 0) throw new RangeError('there is no such published figure');
  const isOfUws = ({ side, against }: PublishedFigure) => side === 'uws' || against === 'uws';
  const noUws = figures.some(isOfUws) ? options.obtainUws() : undefined;
  if (noUws !== undefined) log(`uWebSockets.js is left out, and its figures fail: ${noUws}`);
  const { rounds, onSide } = options;
  const parts = partsOf(figures.filter((figure) => noUws === undefined || !isOfUws(figure)));
  const points = await runCurves(parts, { rounds, ...timing(options), onSide, log });
  const comparisons = comparePublished(figures, points);
  // The window follows the load, that of others too.
  for (const point of points) {
    const reason = voidBecause(point);
    if (reason !== undefined)
      process.stdout.write(`inexact: ${point.work} at ${point.load}/s, ${point.side}: ${reason}\n`);
  }
  for (const line of otherProcessors(figures, processorModel())) process.stdout.write(`${line}\n`);
  for (const comparison of comparisons) process.stdout.write(`${describeComparison(comparison)}\n`);
  return comparisons.every(({ hasDrifted }) => !hasDrifted);
}

/** What has to be measured for some figures: each work at each load once. */
function partsOf(figures: readonly PublishedFigure[]): CurvePart[] {
  const parts = new Map<string, CurvePart>();
  for (const { work: name, load, side, against } of figures) {
    const work = curveWorks.find((one) => one.name === name);
    if (work === undefined)
      throw new RangeError(`published.json names the work ${name}, which does not exist`);
    const key = `${name} ${load}`;
    const sides = new Set([...(parts.get(key)?.sides ?? []), side, against]);
    parts.set(key, { work, load, sides: [...sides] });
  }
  return [...parts.values()];
}
