import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { io, type Socket } from 'socket.io-client';
import { measure, Side, tokenFor } from '../processes.js';

/**
 * What open consoles cost the service, in one run with and without: two replicas with Redis, 2,000 connections on one busy topic, three
 * consoles that are there in every other part of the time. Exit code 1: above the limit.
 *
 *   npm run bench:console -- --connections 2000 --rate 20 --rounds 6
 */
const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '2000' },
    rate: { type: 'string', default: '20' },
    consoles: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '6' },
  },
});

const limitPercent = 5;
/** One part of the time; a console asks every two seconds. */
const partMs = 6000;
const pollMs = 2000;

/** Does what an open page does: reads the overview every two seconds, and holds a connection. */
class OpenConsole {
  private isOpen = true;
  private readonly socket: Socket;
  answers = 0;

  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {
    this.socket = io(url, { auth: { token }, transports: ['websocket'], forceNew: true });
    void this.poll();
  }

  close(): void {
    this.isOpen = false;
    this.socket.close();
  }

  private async poll(): Promise<void> {
    while (this.isOpen) {
      const response = await fetch(`${this.url}/admin/overview`, {
        headers: { authorization: `Bearer ${this.token}` },
      });
      if (!response.ok) throw new Error(`the overview answered ${response.status}`);
      await response.arrayBuffer();
      this.answers++;
      await sleep(pollMs);
    }
  }
}

async function main(): Promise<void> {
  const side = await Side.start('rtc');
  const rounds = Number(values.rounds);
  const used: Record<'without' | 'with', number[]> = { without: [], with: [] };
  let answers = 0;
  const alternate = async () => {
    // The first part is not counted: what has never run costs several times as much.
    for (let part = -1; part < 2 * rounds; part++) {
      // without, with, with, without: a drift of the load counts for both.
      const kind = part === -1 || part % 4 === 1 || part % 4 === 2 ? 'with' : 'without';
      const consoles = Array.from({ length: kind === 'with' ? Number(values.consoles) : 0 }, (_, n) => {
        const port = side.ports[n % side.ports.length]!;
        return new OpenConsole(`http://127.0.0.1:${port}`, tokenFor(`operator-${n}`, ['viewer']));
      });
      const before = side.cpuSecs('servers');
      await sleep(partMs);
      if (part >= 0) used[kind].push(Number((side.cpuSecs('servers') - before).toFixed(2)));
      for (const open of consoles) {
        open.close();
        answers += open.answers;
      }
    }
  };
  try {
    const { delivered, missing } = await measure(
      side,
      {
        subscribers: Number(values.connections),
        topics: 1,
        topicsPerSubscriber: 1,
        publishers: 2,
        ratePerSec: Number(values.rate),
        warmUpMs: 6000,
        windowMs: (2 * rounds + 1) * partMs + 500,
        stalled: 0,
        connectGroup: 50,
      },
      alternate,
    );
    const sum = (parts: readonly number[]) => parts.reduce((total, secs) => total + secs, 0);
    const extraPercent = 100 * (sum(used.with) / sum(used.without) - 1);
    console.log(
      JSON.stringify({
        connections: Number(values.connections),
        messages_per_sec: Number(values.rate),
        delivered,
        missing,
        consoles: Number(values.consoles),
        overviews_read: answers,
        cpu_secs_without: used.without,
        cpu_secs_with: used.with,
        extra_percent: Number(extraPercent.toFixed(1)),
        limit_percent: limitPercent,
      }),
    );
    if (extraPercent > limitPercent || missing > 0) process.exitCode = 1;
  } finally {
    await side.stop();
  }
}

void main();
