import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../attack/quantile.js';
import { withTimeout } from '../../server/primitives/with-timeout.js';
import { cpuSecsOf, machineCpuSecs, Side } from '../processes.js';
import { StormLoads } from './loads.js';
import { StormPublisher } from './publisher.js';
import type { StormSide } from './sides.js';

/** What is done to each side. */
export interface StormWork {
  readonly clients: number;
  readonly loadProcesses: number;
  readonly topics: number;
  readonly topicsPerClient: number;
  /** Messages that each topic has before the clients come. */
  readonly history: number;
  /** Messages per second, to all topics together, also during the outage. */
  readonly ratePerSec: number;
  /** From the cut to the return, in milliseconds. */
  readonly outageMs: number;
  /** Before each cut, in milliseconds. */
  readonly calmMs: number;
  readonly storms: number;
}

/** One storm: all clients come back. Times are since the return began, in milliseconds. */
export interface Storm {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The last one is subscribed again. */
  readonly allBackMs: number;
  /** The last one has everything that was published before the return. */
  readonly caughtUpMs: number;
  /** Clients that were told `recovered: true`. */
  readonly recovered: number;
  /** Connections that were refused, or ended without an answer. */
  readonly retries: number;
  /** Messages published during the outage. */
  readonly outageMessages: number;
  /** Largest delay of the event loop of a replica: from the cut to the return, and from there on. */
  readonly cutStallMs: number;
  readonly stallMs: number;
  /** Processor seconds until all have caught up. */
  readonly serverCpuSecs: number;
  readonly redisCpuSecs: number;
  /** Of the busiest load process. */
  readonly loadCpuSecs: number;
  /** Cores that other programs used. */
  readonly otherCores: number;
  /** Acknowledgements of the publisher, whose connection stays. */
  readonly publishP99Ms: number;
  readonly rssBefore: number;
  readonly rssPeak: number;
  readonly rssAfter: number;
}

/** The storms of one side, and what the clients have received in all of them together. */
export interface StormResult {
  readonly side: StormSide;
  readonly work: StormWork;
  readonly storms: readonly Storm[];
  readonly published: number;
  /** Clients that do not have the last messages. */
  readonly incomplete: number;
  readonly missing: number;
  readonly repeated: number;
}

/** All have come back and caught up by then, or the side has failed. */
const stormLimitMs = 120_000;
const finishLimitMs = 10_000;

/** Runs the storms of a side. */
export async function runStorms(
  stormSide: StormSide,
  work: StormWork,
  onSide: (side: Side) => void,
  log: (line: string) => void,
): Promise<StormResult> {
  const { side: name, env, comeback } = stormSide;
  const side = await Side.start(name, { environment: env, preload: join(__dirname, 'stall-probe.js') });
  onSide(side);
  let publisher: StormPublisher | undefined;
  let loads: StormLoads | undefined;
  try {
    publisher = await StormPublisher.connect(side.ports[0]!, work.topics);
    await publisher.fill(work.history);
    const { clients, topics, topicsPerClient, history } = work;
    const plan = { ports: side.ports, comeback, clients, topics, topicsPerClient, history };
    loads = new StormLoads(plan, work.loadProcesses);
    const connected = loads.reports('connected');
    loads.send({ do: 'connect' });
    await connected;
    publisher.start(work.ratePerSec);
    const storms: Storm[] = [];
    while (storms.length < work.storms) {
      await sleep(work.calmMs);
      storms.push(await runStorm({ side, loads, publisher, work }));
      log(`${stormSide.name}: ${describe(storms.at(-1)!)}`);
    }
    await publisher.finish();
    const finished = loads.reports('finished');
    loads.send({ do: 'finish', numbers: publisher.lastNumbers(), limitMs: finishLimitMs });
    const ends = await finished;
    const sum = (key: 'incomplete' | 'missing' | 'repeated') => ends.reduce((all, one) => all + one[key], 0);
    return {
      side: stormSide,
      work,
      storms,
      published: publisher.count,
      incomplete: sum('incomplete'),
      missing: sum('missing'),
      repeated: sum('repeated'),
    };
  } finally {
    publisher?.close();
    loads?.stop();
    await side.stop();
  }
}

interface Running {
  readonly side: Side;
  readonly loads: StormLoads;
  readonly publisher: StormPublisher;
  readonly work: StormWork;
}

async function runStorm({ side, loads, publisher, work }: Running): Promise<Storm> {
  const rssBefore = side.memoryBytes();
  let rssPeak = rssBefore;
  const look = setInterval(() => (rssPeak = Math.max(rssPeak, side.memoryBytes())), 100);
  try {
    await stallOf(side);
    const countAtCut = publisher.count;
    const cut = loads.reports('cut');
    loads.send({ do: 'cut' });
    await cut;
    await sleep(work.outageMs);
    const cutStallMs = await stallOf(side);
    publisher.takeDelays();
    const serversBefore = side.cpuSecs('servers');
    const allBefore = side.cpuSecs();
    const loadBefore = loads.cpu();
    const othersBefore = otherCpuSecs(side, loads);
    const startedAt = performance.now();
    const outageMessages = publisher.count - countAtCut;
    const returned = Promise.all([loads.reports('back'), loads.reports('caught-up')]);
    loads.send({ do: 'return', numbers: publisher.lastNumbers() });
    const [backs, caughtUp] = await withTimeout(returned, stormLimitMs).catch(() => tooLate(loads));
    const serverCpuSecs = side.cpuSecs('servers') - serversBefore;
    const redisCpuSecs = side.cpuSecs() - allBefore - serverCpuSecs;
    const loadCpuSecs = loads.busiestSince(loadBefore);
    const otherSecs = otherCpuSecs(side, loads) - othersBefore;
    const tookSecs = (performance.now() - startedAt) / 1000;
    const backMs = backs.flatMap((back) => back.backMs);
    return {
      p50Ms: quantile(backMs, 0.5),
      p99Ms: quantile(backMs, 0.99),
      allBackMs: quantile(backMs, 1),
      caughtUpMs: Math.max(...caughtUp.map(({ lastMs }) => lastMs)),
      recovered: backs.reduce((sum, { recovered }) => sum + recovered, 0),
      retries: backs.reduce((sum, { retries }) => sum + retries, 0),
      outageMessages,
      cutStallMs,
      stallMs: await stallOf(side),
      serverCpuSecs,
      redisCpuSecs,
      loadCpuSecs,
      otherCores: Math.max(0, otherSecs / tookSecs),
      publishP99Ms: quantile(publisher.takeDelays(), 0.99),
      rssBefore,
      rssPeak,
      rssAfter: side.memoryBytes(),
    };
  } finally {
    clearInterval(look);
  }
}

/** @throws Error which says how far the clients are */
async function tooLate(loads: StormLoads): Promise<never> {
  const told = loads.reports('told');
  loads.send({ do: 'tell' });
  const sum = (await told).reduce(
    (all, one) => ({
      waiting: all.waiting + one.waiting,
      behind: all.behind + one.behind,
      retries: all.retries + one.retries,
    }),
    { waiting: 0, behind: 0, retries: 0 },
  );
  throw new Error(
    `after ${stormLimitMs / 1000} s, ${sum.waiting} clients are not back, and ${sum.behind} have not caught up; ${sum.retries} retries`,
  );
}

/** Processor seconds of all programs that do not belong to the benchmark. */
function otherCpuSecs(side: Side, loads: StormLoads): number {
  const own = cpuSecsOf(process.pid) + loads.cpu().reduce((sum, secs) => sum + secs, 0);
  return machineCpuSecs() - side.cpuSecs() - own;
}

/** Largest delay of the event loop of a replica since the last question, in milliseconds. */
async function stallOf(side: Side): Promise<number> {
  const answers = await side.ask<{ stallMs: number }>('stall');
  return Math.max(...answers.map(({ stallMs }) => stallMs));
}

function describe(storm: Storm): string {
  const secs = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
  return (
    `half back after ${secs(storm.p50Ms)}, all after ${secs(storm.allBackMs)}, caught up after ${secs(storm.caughtUpMs)}, ` +
    `${storm.recovered} recovered, ${storm.retries} retries, stalls ${storm.cutStallMs.toFixed(0)} and ${storm.stallMs.toFixed(0)} ms, ` +
    `CPU ${storm.serverCpuSecs.toFixed(2)} s and Redis ${storm.redisCpuSecs.toFixed(2)} s, load ${storm.loadCpuSecs.toFixed(2)} s, ` +
    `RSS ${(storm.rssBefore / 2 ** 20).toFixed(0)} → ${(storm.rssPeak / 2 ** 20).toFixed(0)} → ${(storm.rssAfter / 2 ** 20).toFixed(0)} MiB`
  );
}
