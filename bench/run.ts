import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureCurves, publishedManifest, rebaseline } from './curves/main.js';
import { curveWorks } from './curves/works.js';
import { fire } from './fire/main.js';
import { measure, obtainUws, Side, type Measurement, type SideName, type Work } from './processes.js';
import { commitOf, reportHead } from './report-head.js';
import { measureStorms } from './storm/main.js';

/** One line of the comparison. */
interface Row {
  readonly name: string;
  readonly sides: readonly [ours: SideName, theirs: SideName | undefined];
  readonly work: Work;
  /** The compared figure, and how it is compared. */
  readonly figure: Figure;
  readonly target: string;
  /** Skipped with `--quick`. */
  readonly slow?: boolean;
}

type Figure = 'deliveries per CPU second' | 'CPU' | 'memory per connection' | 'memory growth';

const base: Work = {
  subscribers: 500,
  topics: 1,
  topicsPerSubscriber: 1,
  publishers: 2,
  ratePerSec: 1000,
  // Long enough for the compiler: code that is not optimised yet costs several times as much, on every side.
  warmUpMs: 6000,
  windowMs: 6000,
  stalled: 0,
  connectGroup: 50,
};

const broadcast = (ratePerSec: number, slow = false): Row => ({
  name: `500 subscribers, one topic, ${ratePerSec} msg/s`,
  sides: ['rtc', 'plain'],
  work: { ...base, ratePerSec },
  figure: 'deliveries per CPU second',
  target: 'at least 10',
  slow,
});

const rows: readonly Row[] = [
  broadcast(1000, true),
  broadcast(2000),
  broadcast(4000, true),
  broadcast(6000, true),
  {
    name: '500 subscribers, one topic, 2000 msg/s, one process, against uWebSockets.js',
    sides: ['rtc-alone', 'uws'],
    work: { ...base, ratePerSec: 2000 },
    figure: 'deliveries per CPU second',
    target: 'above 1',
  },
  {
    name: '500 subscribers, one topic, 2000 msg/s, against ws and Redis',
    sides: ['rtc', 'ws'],
    work: { ...base, ratePerSec: 2000 },
    figure: 'deliveries per CPU second',
    target: '',
    slow: true,
  },
  {
    name: '500 subscribers, 100 msg/s',
    sides: ['rtc', 'plain'],
    work: { ...base, ratePerSec: 100 },
    figure: 'CPU',
    target: 'at most 1.1, p99 no worse',
    slow: true,
  },
  {
    name: '5,000 subscribers, 100 msg/s',
    sides: ['rtc', 'plain'],
    work: { ...base, subscribers: 5000, ratePerSec: 100 },
    figure: 'deliveries per CPU second',
    target: 'at least 5',
    slow: true,
  },
  {
    name: '1,000 topics with 5 subscribers each (500 connections with 10 topics), 5,000 msg/s',
    sides: ['rtc', 'plain'],
    work: { ...base, topics: 1000, topicsPerSubscriber: 10, publishers: 10, ratePerSec: 5000 },
    figure: 'CPU',
    target: 'at most 1.0',
  },
  {
    name: '20,000 acknowledged publishes/s on 20 topics (20 connections), 2 subscribers of one topic each',
    sides: ['rtc', 'plain'],
    work: { ...base, subscribers: 2, topics: 20, publishers: 20, ratePerSec: 20_000 },
    figure: 'CPU',
    target: 'at most 1.0',
  },
  {
    name: '10,000 idle connections with a subscription',
    sides: ['rtc', 'plain'],
    work: { ...base, subscribers: 10_000, publishers: 0, ratePerSec: 0, warmUpMs: 3000, windowMs: 5000 },
    figure: 'memory per connection',
    target: 'at most 0.8',
    slow: true,
  },
  {
    name: '1,000 subscribers that stop reading for 30 s beside 100 live ones, 1,000 msg/s',
    sides: ['rtc', undefined],
    work: { ...base, subscribers: 1100, stalled: 1000, ratePerSec: 1000, windowMs: 30_000 },
    figure: 'memory growth',
    target: 'under 64 MiB + limits',
    slow: true,
  },
];

interface Outcome {
  readonly row: Row;
  readonly ours: readonly Measurement[];
  readonly theirs: readonly Measurement[];
  readonly ratios: readonly number[];
  readonly figures: { readonly ours: number; readonly theirs: number };
}

/** How a run is made. */
interface Run {
  readonly quick: boolean;
  /** Measurements of each side. */
  readonly pairs: number;
  /** Root of an earlier checkout of this project, built, that this one is compared with. */
  readonly before: string | undefined;
}

/** The rows of a comparison with an earlier checkout: those of this service, each once. */
function rowsAgainst(all: readonly Row[]): Row[] {
  return all
    .filter(({ sides }) => sides[1] !== 'ws')
    .map((row) => ({
      ...row,
      name: row.name.replace(', against uWebSockets.js', ''),
      sides: row.sides[0] === 'rtc-alone' ? ['rtc-alone', 'rtc-alone-before'] : ['rtc', 'rtc-before'],
      target: row.figure === 'deliveries per CPU second' ? 'at least 0.9' : 'at most 1.1',
    }));
}

/** A comparison with an earlier checkout has many rounds: each is shorter. */
function shorterWork({ work, figure }: Row): Partial<Work> {
  return figure === 'memory growth'
    ? { windowMs: 15_000 }
    : { warmUpMs: Math.min(work.warmUpMs, 4000), windowMs: 4000 };
}

async function runRow(row: Row, { quick, pairs, before }: Run): Promise<Outcome> {
  const shorter = quick ? { warmUpMs: 1000, windowMs: 2000 } : before === undefined ? {} : shorterWork(row);
  const work = { ...row.work, ...shorter };
  const [ourName, theirName] = row.sides;
  const ours: Measurement[] = [];
  const theirs: Measurement[] = [];
  const values: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
  for (
    let pair = 0;
    pair < (quick || (before === undefined && row.figure.startsWith('memory')) ? 1 : pairs);
    pair++
  ) {
    const sides = [
      [ourName, ours, values.ours],
      [theirName, theirs, values.theirs],
    ] as const;
    // Each side goes first in every other pair.
    for (const [name, into, figures] of pair % 2 === 0 ? sides : [sides[1], sides[0]]) {
      if (name === undefined) continue;
      process.stderr.write(`${row.name}: ${name} …`);
      const { measurement, figure } = await runSide(name, work, row.figure, before);
      into.push(measurement);
      figures.push(figure);
      const load = ((measurement.offered / measurement.windowMs) * 1000).toFixed(0);
      const delivered = ((measurement.delivered / measurement.windowMs) * 1000).toFixed(0);
      const redis = measurement.cpuSecs - measurement.serverCpuSecs;
      const cpu = `${((measurement.cpuSecs / measurement.windowMs) * 1000).toFixed(2)} (Redis ${((redis / measurement.windowMs) * 1000).toFixed(2)})`;
      process.stderr.write(
        ` ${load} msg/s, ${delivered} deliveries/s, ${cpu} CPU, p50 ${measurement.p50} p99 ${measurement.p99} ms, missing ${measurement.missing}, refused ${measurement.refused}, disorder ${measurement.disorder}, ${format(row.figure, figure)}\n`,
      );
    }
  }
  const ratios = values.theirs.map((figure, i) => values.ours[i]! / figure);
  return { row, ours, theirs, ratios, figures: { ours: median(values.ours), theirs: median(values.theirs) } };
}

/** The side under measurement, stopped if this run is interrupted. */
let current: Side | undefined;
const onSide = (side: Side) => (current = side);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void (current?.stop() ?? Promise.resolve()).then(() => process.exit(130));
  });
}

async function runSide(
  name: SideName,
  work: Work,
  figure: Figure,
  before: string | undefined,
): Promise<{ measurement: Measurement; figure: number }> {
  const side = await Side.start(name, { inspect: figure === 'memory per connection', before });
  current = side;
  try {
    if (figure !== 'memory per connection') {
      const measurement = await measure(side, work);
      const value = {
        'deliveries per CPU second': measurement.delivered / measurement.cpuSecs,
        CPU: measurement.cpuSecs / measurement.windowMs,
        'memory growth': measurement.memoryPeak - measurement.memoryAtStart,
      }[figure];
      return { measurement, figure: value };
    }
    await side.collectGarbage();
    const empty = side.memoryBytes();
    let held = empty;
    const measurement = await measure(side, work, async () => {
      await side.collectGarbage();
      held = side.memoryBytes();
    });
    return { measurement, figure: (held - empty) / work.subscribers };
  } finally {
    await side.stop();
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? NaN : (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

function format(figure: Figure, value: number): string {
  if (Number.isNaN(value)) return '–';
  switch (figure) {
    case 'deliveries per CPU second':
      return `${Math.round(value).toLocaleString('en')}/CPU s`;
    case 'CPU':
      return `${(value * 1000).toFixed(2)} CPU`;
    case 'memory per connection':
      return `${(value / 1024).toFixed(1)} KiB`;
    case 'memory growth':
      return `${(value / 1024 / 1024).toFixed(1)} MiB`;
  }
}

function table(outcomes: readonly Outcome[]): string {
  const lines = outcomes.map(({ row, ours, theirs, ratios, figures }) => {
    const quantiles = (all: readonly Measurement[]) =>
      all.length === 0
        ? '–'
        : [all.map((one) => one.p50), all.map((one) => one.p99), all.map((one) => one.p999)]
            .map((each) => Math.round(median(each)))
            .join(' / ');
    const checks = ours.every((one) => one.missing === 0 && one.disorder === 0)
      ? `complete, in order${ours.some((one) => one.refused > 0) ? `; ${ours.map((one) => one.refused).join(', ')} publishes refused` : ''}`
      : `missing ${ours.map((one) => one.missing).join(', ')}; disorder ${ours.map((one) => one.disorder).join(', ')}`;
    const ratio = ratios.length === 0 ? '–' : median(ratios).toFixed(2);
    return `| ${row.name} | ${row.sides[1] ?? '–'} | ${row.figure} | ${format(row.figure, figures.ours)} | ${format(row.figure, figures.theirs)} | **${ratio}** | ${row.target} | ${quantiles(ours)} | ${quantiles(theirs)} | ${checks} |`;
  });
  return [
    '| work | against | figure | this service | theirs | ratio | target | p50 / p99 / p99.9 ms | theirs | check |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...lines,
  ].join('\n');
}

function report(outcomes: readonly Outcome[], before: string | undefined): string {
  return [
    ...reportHead(before),
    '',
    'Servers and load share the processors; sides alternate; ratios are the median over pairs. CPU is that of all server processes and Redis, from the operating',
    'system’s accounting, within the window. `rtc` is this service (two replicas and Redis), `rtc-alone` one process; `plain` is Socket.IO with its Redis adapter (two',
    'processes and Redis).',
    '',
    table(outcomes),
    '',
  ].join('\n');
}

const usage = `npm run bench -- [--quick] [--only TEXT] [--against DIR] [--pairs N]
npm run bench -- --curves [--work NAME] [--side NAME] [--load N,…] [--rounds N] [--quick]
npm run bench -- --rebaseline [--work NAME] [--load N,…] [--rounds N] [--published FILE] [--quick]
npm run bench -- --storm [--side NAME] [--clients N] [--rounds N] [--quick]
npm run bench -- --fire [--help] …    reconnection under fire
  --quick        short and inexact, to see that everything runs
  --only TEXT    lines whose name contains the text
  --against DIR  compares with an earlier checkout, which has to be built
  --pairs N      measurements of each side
  --curves       each kind of work at several loads: a report and its data in bench/results, charts in docs/charts
  --rebaseline   measures the figures of bench/published.json again; fails where one has drifted
  --storm        all clients are cut off and come back at once: a report in bench/results; fails where one does not get everything back
  --published FILE  figures instead of those of bench/published.json
  --work NAME    only this kind of work: ${curveWorks.map(({ name }) => name).join(', ')}
  --side NAME    only this side
  --load N,…     only these loads, in messages per second
  --rounds N     measurements of each side at each load; storms of each side
  --clients N    clients of the storm, 10,000 if the limit of file descriptors allows
BENCH_NODE=PATH  the Node that runs the servers, if it is not this one`;

function readOptions() {
  try {
    return parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        against: { type: 'string' },
        pairs: { type: 'string' },
        curves: { type: 'boolean', default: false },
        rebaseline: { type: 'boolean', default: false },
        storm: { type: 'boolean', default: false },
        clients: { type: 'string' },
        published: { type: 'string' },
        work: { type: 'string' },
        side: { type: 'string' },
        load: { type: 'string' },
        rounds: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return refuse(`${(error as Error).message}\n${usage}`);
  }
}

function refuse(reason: string): never {
  process.stderr.write(`${reason}\n`);
  process.exit(2);
}

async function main(): Promise<void> {
  if (process.argv.includes('--fire')) {
    const context = { onSide, head: reportHead(undefined), commit: commitOf('.') };
    if (!(await fire(process.argv.slice(2), context))) process.exitCode = 1;
    return;
  }
  const { quick, only, against: before, help, ...rest } = readOptions();
  if (help) return void process.stdout.write(`${usage}\n`);
  if (rest.storm) {
    const { side, clients, rounds = quick ? 1 : 3 } = rest;
    const isKept = await measureStorms({ side, clients, rounds: Number(rounds), quick, onSide });
    if (!isKept) process.exitCode = 1;
    return;
  }
  if (rest.curves || rest.rebaseline) {
    const options = {
      work: rest.work,
      side: rest.side,
      rounds: Number(rest.rounds ?? 3),
      quick,
      loads: rest.load === undefined ? [] : rest.load.split(',').map(Number),
      obtainUws,
      onSide,
      head: reportHead(undefined),
      commit: commitOf('.'),
    };
    if (rest.curves) await measureCurves(options);
    else if (!(await rebaseline(options, rest.published ?? publishedManifest))) process.exitCode = 1;
    return;
  }
  if (before !== undefined && !existsSync(join(before, 'dist/server/main.js')))
    refuse(`--against ${before}: it is not built; run "npm ci && npm run build" there`);
  const pairs = Number(rest.pairs ?? (before === undefined ? 2 : 5));
  const noUws = before === undefined ? obtainUws() : undefined;
  const chosen = (before === undefined ? rows : rowsAgainst(rows)).filter((row) =>
    only === undefined ? !(quick && row.slow === true) : row.name.includes(only),
  );
  if (chosen.length === 0) refuse(`no line has "${only}" in its name`);
  const outcomes: Outcome[] = [];
  for (const row of chosen) {
    if (noUws !== undefined && row.sides.includes('uws')) {
      process.stderr.write(`${row.name}: left out: ${noUws}\n`);
      continue;
    }
    outcomes.push(await runRow(row, { quick, pairs, before }));
  }
  const text = report(outcomes, before);
  process.stdout.write(`\n${text}`);
  if (only !== undefined || quick) return;
  const directory = join(__dirname, '..', '..', 'bench', 'results');
  mkdirSync(directory, { recursive: true });
  const name = new Date().toISOString().slice(0, 10) + (before === undefined ? '' : '-against-before');
  writeFileSync(join(directory, `${name}.md`), text);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
