import { setTimeout as sleep } from 'node:timers/promises';
import { measure, Side } from './processes.js';

export interface PageCostSettings {
  /** Subscribers of the one topic. */
  readonly connections: number;
  /** Messages per second on it. */
  readonly ratePerSec: number;
  /** Pages that are open at the same time. */
  readonly pages: number;
  /** Of a part of the time with the pages, and one without. */
  readonly rounds: number;
  readonly partMs: number;
}

export interface PageCost {
  /** Processor seconds of the servers in each part of the time. */
  readonly cpuSecs: { readonly without: readonly number[]; readonly with: readonly number[] };
  readonly delivered: number;
  readonly missing: number;
}

/**
 * What open pages cost the service, in one run with and without: two replicas with Redis and one busy topic; the pages are there in every other
 * part of the time. `open` opens the nth page at a port, and returns what closes it.
 */
export async function pageCost(
  { connections, ratePerSec, pages, rounds, partMs }: PageCostSettings,
  open: (port: number, n: number) => () => void,
): Promise<PageCost> {
  const side = await Side.start('rtc');
  const cpuSecs = { without: [] as number[], with: [] as number[] };
  const alternate = async () => {
    // The first part is not counted: what has never run costs several times as much.
    for (let part = -1; part < 2 * rounds; part++) {
      // without, with, with, without: a drift of the load counts for both.
      const kind = part === -1 || part % 4 === 1 || part % 4 === 2 ? 'with' : 'without';
      const closes = Array.from({ length: kind === 'with' ? pages : 0 }, (_, n) =>
        open(side.ports[n % side.ports.length]!, n),
      );
      const before = side.cpuSecs('servers');
      await sleep(partMs);
      if (part >= 0) cpuSecs[kind].push(Number((side.cpuSecs('servers') - before).toFixed(2)));
      for (const close of closes) close();
    }
  };
  try {
    const load = {
      ...{ subscribers: connections, topics: 1, topicsPerSubscriber: 1, publishers: 2, ratePerSec },
      ...{ warmUpMs: 6000, windowMs: (2 * rounds + 1) * partMs + 500, stalled: 0, connectGroup: 50 },
    };
    const { delivered, missing } = await measure(side, load, alternate);
    return { cpuSecs, delivered, missing };
  } finally {
    await side.stop();
  }
}

/** By how much the parts with pages took more than those without, in percent. */
export function extraPercent({ cpuSecs }: PageCost): number {
  const sum = (parts: readonly number[]) => parts.reduce((total, secs) => total + secs, 0);
  return Number((100 * (sum(cpuSecs.with) / sum(cpuSecs.without) - 1)).toFixed(1));
}
