import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { io, type Socket } from 'socket.io-client';
import { measure, Side, tokenFor } from '../processes.js';

/**
 * What open consoles cost the service, in one run with and without: two replicas with Redis, 2,000 connections on one busy topic, three
 * consoles that are there in every other part of the time. Exit code 1: above the limit.
 *
 *   npm run bench:console -- --connections 2000 --rate 20 --rounds 4
 */
const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '2000' },
    rate: { type: 'string', default: '20' },
    consoles: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '4' },
  },
});

const limitPercent = 5;
/** One part of the time; a console asks every two seconds. */
const partMs = 8000;
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
  const used = { without: 0, with: 0 };
  let answers = 0;
  const alternate = async () => {
    for (let part = 0; part < 2 * rounds; part++) {
      // without, with, with, without: a drift of the load counts for both.
      const kind = part % 4 === 1 || part % 4 === 2 ? 'with' : 'without';
      const consoles = Array.from({ length: kind === 'with' ? Number(values.consoles) : 0 }, (_, n) => {
        const port = side.ports[n % side.ports.length]!;
        return new OpenConsole(`http://127.0.0.1:${port}`, tokenFor(`operator-${n}`, ['viewer']));
      });
      const before = side.cpuSecs('servers');
      await sleep(partMs);
      used[kind] += side.cpuSecs('servers') - before;
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
        windowMs: 2 * rounds * partMs + 500,
        stalled: 0,
        connectGroup: 50,
      },
      alternate,
    );
    const extraPercent = (100 * (used.with - used.without)) / used.without;
    console.log(
      JSON.stringify({
        connections: Number(values.connections),
        messages_per_sec: Number(values.rate),
        delivered,
        missing,
        consoles: Number(values.consoles),
        overviews_read: answers,
        cpu_secs_without: Number(used.without.toFixed(2)),
        cpu_secs_with: Number(used.with.toFixed(2)),
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
