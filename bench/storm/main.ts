import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Side } from '../processes.js';
import { reportHead } from '../report-head.js';
import { brokenPromises, stormTable } from './report.js';
import { runStorms, type StormResult, type StormWork } from './run-storm.js';
import { stormSides } from './sides.js';

const results = join(__dirname, '..', '..', '..', 'bench', 'results');

/** The options of the storm. */
export interface StormOptions {
  readonly side: string | undefined;
  /** As given on the command line. */
  readonly clients: string | undefined;
  /** Storms of each side, one after the other. */
  readonly rounds: number;
  readonly quick: boolean;
  readonly onSide: (side: Side) => void;
}

const clientsWanted = 10_000;
const loadProcesses = 2;
/** File descriptors that a replica, or a load process, needs beside its clients. */
const otherFiles = 200;

const log = (line: string) => void process.stderr.write(`${line}\n`);

/** Measures the storms, and writes the report. Returns whether this service has kept its promises. */
export async function measureStorms(options: StormOptions): Promise<boolean> {
  const sides = stormSides.filter(({ name }) => options.side === undefined || name === options.side);
  if (sides.length === 0)
    throw new RangeError(
      `there is no side ${options.side}; there are ${stormSides.map(({ name }) => name).join(', ')}`,
    );
  const work: StormWork = {
    clients: clientCount(options.clients),
    loadProcesses,
    topics: 200,
    topicsPerClient: 2,
    history: 10,
    ratePerSec: 200,
    outageMs: options.quick ? 500 : 2000,
    calmMs: options.quick ? 500 : 3000,
    storms: options.rounds,
  };
  const measured: StormResult[] = [];
  for (const side of sides) measured.push(await runStorms(side, work, options.onSide, log));
  const broken = measured.flatMap((result) =>
    brokenPromises(result).map((text) => `${result.side.name}: ${text}`),
  );
  const text = [
    ...reportHead(undefined),
    '',
    ...explanation(work),
    '',
    stormTable(measured),
    '',
    ...broken,
  ].join('\n');
  process.stdout.write(`${text}\n`);
  if (!options.quick && options.side === undefined) {
    mkdirSync(results, { recursive: true });
    writeFileSync(join(results, `${new Date().toISOString().slice(0, 10)}-storm.md`), `${text.trimEnd()}\n`);
  }
  return broken.length === 0;
}

/** As many clients as wanted, or as the limit of file descriptors allows. */
function clientCount(given: string | undefined): number {
  const wanted = given === undefined ? clientsWanted : Number(given);
  if (!Number.isSafeInteger(wanted) || wanted < loadProcesses)
    throw new RangeError(`--clients: a number from ${loadProcesses} on`);
  const limit = Number(spawnSync('sh', ['-c', 'ulimit -n']).stdout.toString());
  // A replica, like a load process, has half of them; more if they do not come back evenly.
  const possible = Number.isNaN(limit) ? wanted : Math.floor((limit - otherFiles) * 1.8);
  if (wanted > possible) log(`only ${possible} clients: a process may open ${limit} files`);
  return Math.min(wanted, possible);
}

function explanation(work: StormWork): string[] {
  const { clients, topics, topicsPerClient, history, ratePerSec, outageMs, storms } = work;
  return [
    `${clients.toLocaleString('en')} clients on two replicas with Redis, each with a token of its own, a session, and ${topicsPerClient} of ${topics} topics that have ${history} messages already;`,
    `${ratePerSec} messages a second to all topics together. All connections are closed at once; ${outageMs / 1000} s later all clients come back at once, half of them to the other`,
    `replica: with session id and positions, or, of Socket.IO, with a token and a new subscription. ${storms} storms of each side, one after the other in the same processes. Times and CPU are`,
    'medians; stalls, peaks and retries the largest; recovered the smallest; missing and repeated messages of all storms together. "Back": `status` received, or the subscription',
    'acknowledged. "Caught up": each message that was published during the outage has been received. A stall is the largest delay of a timer of 5 ms in a replica. CPU is from the operating system\'s',
    `accounting, until all have caught up. Servers, Redis and the ${loadProcesses} load processes share the processors.`,
    '`this service` has no limit of handshakes here (`websocket.handshakes_per_sec` and `websocket.max_unjoined` are 0), as Socket.IO has none.',
  ];
}
