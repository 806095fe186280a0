// A process that asks for GET /health/live, each time on a new connection, until it is told to stop.
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from './quantile.js';

/** What the prober saw; times in milliseconds. */
export interface ProbeResult {
  readonly samples: number;
  readonly median: number;
  readonly max: number;
  readonly failures: number;
}

const pauseMs = 20;
const limitMs = 20_000;
const port = Number(process.argv[2]);
const times: number[] = [];
let failures = 0;
let isRunning = true;

process.on('message', (message) => {
  if (message !== 'stop') return;
  isRunning = false;
});
process.on('disconnect', () => process.exit(0));

async function run(): Promise<void> {
  process.send?.('ready');
  while (isRunning) {
    const startedAt = performance.now();
    if (!(await isAlive())) failures++;
    times.push(performance.now() - startedAt);
    await sleep(pauseMs);
  }
  const result: ProbeResult = {
    samples: times.length,
    median: quantile(times, 0.5),
    max: quantile(times, 1),
    failures,
  };
  process.send?.(result, () => process.exit(0));
}

function isAlive(): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request({ host: '127.0.0.1', port, path: '/health/live', agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode === 200));
    });
    sent.setTimeout(limitMs, () => sent.destroy());
    sent.on('error', () => resolve(false));
    sent.end();
  });
}

void run();
