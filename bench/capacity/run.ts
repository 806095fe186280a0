// Computes what a deployment needs, from measured costs. See docs/scaling.md.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isNamed, measureConnections, measurePoint, planned } from './calibrate.js';
import { calibrationOf, defaultLimits, readMeasured, type Measured } from './calibration.js';
import type { Point } from './fit.js';
import { loadOf, size } from './model.js';
import { measureHeartbeats } from './registry-cost.js';
import { checkTable, leaveOutTable, loadText, sizingTable, sizingText } from './report.js';
import type { Workload } from './workload.js';

const usage = `npm run simulate -- [options]
  --connections N               clients (10000)
  --topics N                    topics that carry messages (1000)
  --subscribers-per-topic N     (10)
  --publishers-per-topic N      (10)
  --rate N                      acknowledged publishes per second, over all topics (1000)
  --payload-bytes N             length of a payload (200)
  --connects-per-sec N          new connections per second (connections / 600)
  --replicas N                  says what each replica does; without: how many are needed
  --utilisation SHARE           of a core, that a replica or a Redis process may use (0.6)
  --replica-memory-mib N        (2048)
  --network-mbit N              that a replica or a Redis process may send (1000)
  --table                       the sizing table of docs/scaling.md
  --check                       compares the model with every measured point
  --leave-out                   the same, each point computed from the others
  --calibrate                   measures all costs anew, on an idle machine; takes about 16 minutes
  --only TEXT                   with --calibrate: only points whose name contains the text, or of this use ('blind check')
  --write-docs                  writes the tables of docs/scaling.md
  --json                        the result as JSON`;

const root = join(__dirname, '..', '..', '..');
const measuredFile = join(root, 'bench', 'capacity', 'measured.json');

const options = {
  connections: { type: 'string', default: '10000' },
  topics: { type: 'string', default: '1000' },
  'subscribers-per-topic': { type: 'string', default: '10' },
  'publishers-per-topic': { type: 'string', default: '10' },
  rate: { type: 'string', default: '1000' },
  'payload-bytes': { type: 'string', default: '200' },
  'connects-per-sec': { type: 'string' },
  replicas: { type: 'string' },
  utilisation: { type: 'string', default: '0.6' },
  'replica-memory-mib': { type: 'string', default: '2048' },
  'network-mbit': { type: 'string', default: '1000' },
  table: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  'leave-out': { type: 'boolean', default: false },
  calibrate: { type: 'boolean', default: false },
  only: { type: 'string' },
  'write-docs': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

function readOptions() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return end((error as Error).message);
  }
}

function end(problem: string): never {
  process.stderr.write(`${problem}\n${usage}\n`);
  process.exit(2);
}

type Values = ReturnType<typeof readOptions>;

/** @throws exits if the option is no number of at least `min` */
function number(values: Values, name: keyof Values, min: number): number {
  const value = Number(values[name]);
  if (!Number.isFinite(value) || value < min || values[name] === '')
    return end(`--${name} must be a number of at least ${min}`);
  return value;
}

function workloadOf(values: Values): Omit<Workload, 'replicas'> {
  const connections = number(values, 'connections', 0);
  return {
    connections,
    topics: number(values, 'topics', 0),
    subscribersPerTopic: number(values, 'subscribers-per-topic', 0),
    publishersPerTopic: number(values, 'publishers-per-topic', 1),
    publishesPerSec: number(values, 'rate', 0),
    payloadBytes: number(values, 'payload-bytes', 0),
    connectsPerSec:
      values['connects-per-sec'] === undefined ? connections / 600 : number(values, 'connects-per-sec', 0),
  };
}

function limitsOf(values: Values) {
  const bytesPerSec = (number(values, 'network-mbit', 1) * 1e6) / 8;
  return {
    cores: number(values, 'utilisation', 0.01),
    replicaMemoryBytes: number(values, 'replica-memory-mib', 1) * 2 ** 20,
    replicaSentBytesPerSec: bytesPerSec,
    redisSentBytesPerSec: bytesPerSec,
  };
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
  const values = readOptions();
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
  const limits = limitsOf(values);
  if (values.table) return say(sizingTable(calibration, limits), calibration);
  const workload = workloadOf(values);
  if (values.replicas !== undefined) {
    const load = loadOf({ ...workload, replicas: number(values, 'replicas', 1) }, calibration);
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
