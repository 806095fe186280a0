import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { io, type Socket } from 'socket.io-client';
import { extraPercent, pageCost } from '../page-cost.js';
import { tokenFor } from '../processes.js';

/**
 * What open consoles cost the service, see {@link pageCost}. Exit code 1: above the limit.
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
  const [connections, ratePerSec, pages, rounds] = [
    values.connections,
    values.rate,
    values.consoles,
    values.rounds,
  ].map(Number) as [number, number, number, number];
  let answers = 0;
  const cost = await pageCost({ connections, ratePerSec, pages, rounds, partMs }, (port, n) => {
    const page = new OpenConsole(`http://127.0.0.1:${port}`, tokenFor(`operator-${n}`, ['viewer']));
    return () => {
      page.close();
      answers += page.answers;
    };
  });
  console.log(
    JSON.stringify({
      connections,
      messages_per_sec: ratePerSec,
      delivered: cost.delivered,
      missing: cost.missing,
      consoles: pages,
      overviews_read: answers,
      cpu_secs_without: cost.cpuSecs.without,
      cpu_secs_with: cost.cpuSecs.with,
      extra_percent: extraPercent(cost),
      limit_percent: limitPercent,
    }),
  );
  if (extraPercent(cost) > limitPercent || cost.missing > 0) process.exitCode = 1;
}

void main();
