import { parseArgs } from 'node:util';
import { io } from 'socket.io-client';
import { extraPercent, pageCost } from '../page-cost.js';
import { tokenFor } from '../processes.js';

/**
 * What open pages of the Socket.IO Admin UI cost the service, see {@link pageCost}.
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
function open(port: number, seen: { lists: number; figures: number }): () => void {
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
  return () => socket.close();
}

async function main(): Promise<void> {
  const [connections, ratePerSec, pages, rounds] = [
    values.connections,
    values.rate,
    values.pages,
    values.rounds,
  ].map(Number) as [number, number, number, number];
  const seen = { lists: 0, figures: 0 };
  const cost = await pageCost({ connections, ratePerSec, pages, rounds, partMs }, (port) => open(port, seen));
  console.log(
    JSON.stringify({
      connections,
      messages_per_sec: ratePerSec,
      delivered: cost.delivered,
      missing: cost.missing,
      pages,
      ...seen,
      cpu_secs_without: cost.cpuSecs.without,
      cpu_secs_with: cost.cpuSecs.with,
      extra_percent: extraPercent(cost),
    }),
  );
  if (cost.missing > 0) process.exitCode = 1;
}

void main();
