// Computes what a deployment needs, from measured costs. See docs/scaling.md.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { isNamed, measureConnections, measurePoint, planned } from './calibrate.js';
import { calibrationOf, defaultLimits, readMeasured, type Measured } from './calibration.js';
import type { Point } from './fit.js';
import { loadOf, size } from './model.js';
import { readArguments, usage } from './options.js';
import { measureHeartbeats } from './registry-cost.js';
import { checkTable, leaveOutTable, loadText, sizingTable, sizingText } from './report.js';

const root = join(__dirname, '..', '..', '..');
const measuredFile = join(root, 'bench', 'capacity', 'measured.json');

function readOptions() {
  try {
    return readArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}\n`);
    process.exit(2);
  }
}

async function calibrate(only: string | undefined): Promise<void> {
  const before = only === undefined ? undefined : readMeasured(measuredFile);
  const points: Point[] = before?.points.filter((point) => !isNamed(point, only!)) ?? [];
  const at = new Date().toISOString();
  const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD']).stdout.toString().trim();
  for (const plan of planned(only)) {
    process.stderr.write(`${plan.name} …`);
    const point = await measurePoint(plan).catch((error: Error) => error);
    if (point instanceof Error) {
      // The others are kept; --only measures it again.
      process.stderr.write(` not measured: ${point.message}\n`);
      process.exitCode = 1;
      continue;
    }
    points.push(before === undefined ? point : { ...point, measured: { at, commit } });
    process.stderr.write(
      ` replicas ${point.replicaCores.toFixed(3)}, Redis ${point.redisCores.toFixed(3)} cores\n`,
    );
  }
  const rest = before ?? {
    measuredAt: at,
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}`,
    commit,
    further: await measureConnections(),
    replicaPairUs: await measureHeartbeats(),
  };
  const measured: Measured = { ...rest, points };
  writeFileSync(measuredFile, `${JSON.stringify(measured, null, 2)}\n`);
}

/** Puts the tables into their page. A test compares them. */
function writeDocs(measured: Measured): void {
  const calibration = calibrationOf(measured);
  const page = join(root, 'docs', 'scaling.md');
  const tables = {
    check: checkTable(
      measured.points.filter(({ use }) => use === 'blind check'),
      calibration,
    ),
    table: sizingTable(calibration, defaultLimits),
  };
  let text = readFileSync(page, 'utf8');
  for (const [name, table] of Object.entries(tables))
    text = text.replace(
      new RegExp(`(<!-- ${name} -->).*?(<!-- /${name} -->)`, 's'),
      (_all, begin: string, end: string) => `${begin}\n\n${table}\n\n${end}`,
    );
  writeFileSync(page, text);
}

async function main(): Promise<void> {
  const { values, workload, limits, replicas } = readOptions();
  if (values.help) return void process.stdout.write(`${usage}\n`);
  if (values.calibrate) await calibrate(values.only);
  const measured = readMeasured(measuredFile);
  if (values['leave-out']) return void process.stdout.write(`${leaveOutTable(measured)}\n`);
  const calibration = calibrationOf(measured);
  const say = (text: string, result: unknown): void => {
    process.stdout.write(values.json ? `${JSON.stringify(result, null, 2)}\n` : `${text}\n`);
  };
  if (values['write-docs']) return writeDocs(measured);
  if (values.check || values.calibrate) return say(checkTable(measured.points, calibration), calibration);
  if (values.table) return say(sizingTable(calibration, limits), calibration);
  if (replicas !== undefined) {
    const load = loadOf({ ...workload, replicas }, calibration);
    return say(loadText(load), load);
  }
  const sizing = size(workload, calibration, limits);
  say(sizingText(sizing), sizing);
  if (!('load' in sizing)) process.exitCode = 1;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
