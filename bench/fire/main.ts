import { parseArgs } from 'node:util';
import { Side, type SideName } from '../processes.js';
import { measureFire, type FireOutcome, type FirePlan } from './measure-fire.js';
import { plants } from './plant.js';
import { isFlawless, linesOf } from './report.js';
import { textOf, writeResults } from './results.js';

/** `rtc-alone` only with `--side`. */
const sides: readonly SideName[] = ['rtc', 'plain', 'plain-recovery', 'rtc-alone'];
const cutEveryMs = 15_000;
const cutMs = 2000;

const usage = `npm run bench -- --fire [--clients N] [--secs N] [--side NAME] [--no-restart] …
  --clients N        stock clients (10000)
  --secs N           how long they are under fire (60)
  --side NAME        only this side: ${sides.join(', ')}
  --no-restart       without the rolling restart
  --processes N      client processes (4)
  --topics N         topics with one publisher each (20)
  --rate N           messages per second and topic (2)
  --cut-every N      seconds between two cuts of a connection (15)
  --cut N            seconds for which the network is down then (2)
  --plant FAULT      a fault in what the first client of each process receives, to see that it is found: ${plants.join(', ')}
  --report           writes bench/results/DATE-fire.md; sides that were measured on the same day, at the same commit, in the same way, stay in it`;

function readOptions(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      fire: { type: 'boolean' },
      clients: { type: 'string', default: '10000' },
      secs: { type: 'string', default: '60' },
      side: { type: 'string' },
      'no-restart': { type: 'boolean', default: false },
      processes: { type: 'string', default: '4' },
      topics: { type: 'string', default: '20' },
      rate: { type: 'string', default: '2' },
      'cut-every': { type: 'string', default: String(cutEveryMs / 1000) },
      cut: { type: 'string', default: String(cutMs / 1000) },
      plant: { type: 'string' },
      report: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values;
}

/** The options of the command line that this part does not read. */
export interface FireContext {
  readonly onSide: (side: Side) => void;
  /** The first lines of a report: date, machine, command. */
  readonly head: readonly string[];
  readonly commit: string;
}

/** Reconnection under fire. Returns whether everything came to the clients of this service, once and in order. */
export async function fire(args: readonly string[], { onSide, head, commit }: FireContext): Promise<boolean> {
  const options = readOptions(args);
  if (options.help) {
    process.stdout.write(`${usage}\n`);
    return true;
  }
  const chosen = sides.filter(
    (side) => side === (options.side ?? side) && (side !== 'rtc-alone' || options.side === side),
  );
  if (chosen.length === 0)
    throw new RangeError(`there is no side ${options.side}; there are ${sides.join(', ')}`);
  const plant = plants.find((one) => one === options.plant);
  if (plant === undefined && options.plant !== undefined)
    throw new RangeError(`there is no fault ${options.plant}; there are ${plants.join(', ')}`);
  const plan: FirePlan = {
    clients: Number(options.clients),
    processes: Number(options.processes),
    topics: Number(options.topics),
    ratePerSec: Number(options.rate),
    secs: Number(options.secs),
    cutEveryMs: Number(options['cut-every']) * 1000,
    cutMs: Number(options.cut) * 1000,
    restart: !options['no-restart'],
    plant,
  };
  const outcomes: FireOutcome[] = [];
  for (const name of chosen) {
    const side = await Side.start(name);
    onSide(side);
    try {
      // One process that restarts has forgotten what it kept: that is no rolling restart.
      const restart = plan.restart && side.ports.length > 1;
      outcomes.push(
        await measureFire(side, { ...plan, restart }, (line) => process.stderr.write(`${line}\n`)),
      );
    } finally {
      await side.stop();
    }
  }
  const data = { commit, plan: describe(plan), sides: outcomes.map(linesOf) };
  process.stdout.write(textOf(head, data));
  if (options.report) writeResults(head, data, sides);
  return outcomes.every((outcome) => !outcome.side.startsWith('rtc') || isFlawless(outcome));
}

function describe({
  clients,
  processes,
  topics,
  ratePerSec,
  secs,
  cutEveryMs: everyMs,
  cutMs: forMs,
}: FirePlan): string {
  return [
    `${clients} stock socket.io-client connections over WebSocket with all its defaults, in ${processes} processes. ${topics} topics with ${ratePerSec} messages a second each; a client`,
    `subscribes to one. For ${secs} s each connection is cut every ${everyMs / 1000} s: its TCP connection is reset, and the network lets none through for ${forMs / 1000} s; staggered. Each`,
    'new connection goes to the next replica. Servers, Redis and clients share the processors.',
  ].join('\n');
}
