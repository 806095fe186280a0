import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { io, type Socket } from 'socket.io-client';
import { measure, Side, tokenFor } from '../processes.js';

/**
 * What open pages of the Socket.IO Admin UI cost the service, in one run with and without: two replicas with Redis, 2,000 connections on one
 * busy topic, three pages that are there in every other part of the time.
 *
 *   npm run build && node dist/bench/socket-io-ui/run.js --connections 2000 --rate 20 --rounds 4
 */
const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '2000' },
    rate: { type: 'string', default: '20' },
    pages: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '4' },
  },
});

const partMs = 8000;

/** An open page: it reads what it is sent. */
function open(port: number, seen: { lists: number; figures: number }): Socket {
  const socket = io(`http://127.0.0.1:${port}/admin`, {
    auth: { password: tokenFor('operator', ['viewer']) },
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
  });
  socket.on('connect_error', (error) => {
    throw error;
  });
  socket.on('all_sockets', () => seen.lists++);
  socket.on('server_stats', () => seen.figures++);
  return socket;
}

async function main(): Promise<void> {
  const side = await Side.start('rtc');
  const rounds = Number(values.rounds);
  const used = { without: 0, with: 0 };
  const seen = { lists: 0, figures: 0 };
  const alternate = async () => {
    for (let part = 0; part < 2 * rounds; part++) {
      // without, with, with, without: a drift of the load counts for both.
      const kind = part % 4 === 1 || part % 4 === 2 ? 'with' : 'without';
      const pages = Array.from({ length: kind === 'with' ? Number(values.pages) : 0 }, (_, n) =>
        open(side.ports[n % side.ports.length]!, seen),
      );
      const before = side.cpuSecs('servers');
      await sleep(partMs);
      used[kind] += side.cpuSecs('servers') - before;
      for (const page of pages) page.close();
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
    console.log(
      JSON.stringify({
        connections: Number(values.connections),
        messages_per_sec: Number(values.rate),
        delivered,
        missing,
        pages: Number(values.pages),
        ...seen,
        cpu_secs_without: Number(used.without.toFixed(2)),
        cpu_secs_with: Number(used.with.toFixed(2)),
        ratio: Number((used.with / used.without).toFixed(3)),
      }),
    );
    if (missing > 0) process.exitCode = 1;
  } finally {
    await side.stop();
  }
}

void main();
