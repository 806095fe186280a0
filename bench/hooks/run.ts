import { fork, type ChildProcess } from 'node:child_process';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { io, type Socket } from 'socket.io-client';
import { freePort } from '../free-port.js';
import { tokenFor } from '../processes.js';

/**
 * What a hook that computes does to the service: in the thread of the service, on worker threads, and none. Each side has the same load, one
 * after the other, in several rounds. Prints the medians of the rounds.
 *
 *   npm run bench:hooks -- --burn-ms 5 --rate 80 --topics 16 --secs 6 --rounds 3
 */
const { values } = parseArgs({
  options: {
    'burn-ms': { type: 'string', default: '5' },
    rate: { type: 'string', default: '80' },
    topics: { type: 'string', default: '16' },
    secs: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '3' },
    pool: { type: 'string', default: '2' },
  },
});

const pollMs = 10;
const warmUpMs = 1500;
const here = __dirname;

const sides = {
  'no hook': { script: 'program.js', environment: {} },
  'in the thread': { script: 'program.js', environment: { BURN_MS: values['burn-ms'] } },
  'on workers': {
    script: '../../server/main.js',
    environment: {
      BURN_MS: values['burn-ms'],
      RTC_HOOKS_MODULE: join(here, 'burn.js'),
      RTC_ACTOR_SYSTEM_POOL_SIZE: values.pool,
    },
  },
};

type SideName = keyof typeof sides;

interface Figures {
  /** Answers of `/health/live`, in milliseconds. */
  readonly healthP50: number;
  readonly healthP99: number;
  readonly publishP50: number;
  readonly publishP99: number;
  /** Lag of the event loop as the service reports it, of the last half minute. */
  readonly lagP99: number;
  readonly published: number;
  readonly failed: number;
}

async function start(name: SideName): Promise<{ child: ChildProcess; url: string }> {
  const port = await freePort();
  const { PATH, HOME } = process.env;
  const child = fork(join(here, sides[name].script), [], {
    env: {
      ...{ PATH, HOME, HOST: '127.0.0.1', PORT: String(port), LOG_LEVEL: 'error' },
      ...{ NODE_ENV: 'production', JWT_SECRET: 'a secret for benchmarks, of 32 bytes and more' },
      ...sides[name].environment,
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await new Promise<void>((resolve, reject) => {
    child.on('message', (message) => message === 'ready' && resolve());
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
  });
  return { child, url: `http://127.0.0.1:${port}` };
}

const record = (histogram: RecordableHistogram, startedAt: number) =>
  histogram.record(Math.max(1, Math.round((performance.now() - startedAt) * 1000)));
const ms = (microseconds: number) => Number((microseconds / 1000).toFixed(1));

async function measure(name: SideName): Promise<Figures> {
  const { child, url } = await start(name);
  const token = tokenFor('bench', ['user']);
  const socket: Socket = io(url, { auth: { token }, transports: ['websocket'], forceNew: true });
  try {
    await new Promise((resolve) => socket.once('status', resolve));
    const health = createHistogram();
    const publishes = createHistogram();
    let published = 0;
    let failed = 0;
    let isMeasured = false;
    const publish = async (n: number) => {
      const startedAt = performance.now();
      const topic = `bench.${n % Number(values.topics)}`;
      const answer = (await socket.emitWithAck('publish', { topic, payload: n })) as { ok: boolean };
      if (!isMeasured) return;
      record(publishes, startedAt);
      published++;
      if (!answer.ok) failed++;
    };
    const poll = async () => {
      const startedAt = performance.now();
      await fetch(`${url}/health/live`).then((response) => response.text());
      if (isMeasured) record(health, startedAt);
    };
    const startedAt = performance.now();
    const endMs = warmUpMs + Number(values.secs) * 1000;
    let sent = 0;
    for (let at = 0; at < endMs; at = performance.now() - startedAt) {
      isMeasured = at > warmUpMs;
      for (; sent < (at / 1000) * Number(values.rate); sent++) void publish(sent);
      void poll();
      await sleep(pollMs);
    }
    await sleep(300);
    const { event_loop_lag_ms: lag } = (await (await fetch(`${url}/metrics`)).json()) as {
      event_loop_lag_ms: { recent_p99: number };
    };
    return {
      healthP50: ms(health.percentile(50)),
      healthP99: ms(health.percentile(99)),
      publishP50: ms(publishes.percentile(50)),
      publishP99: ms(publishes.percentile(99)),
      lagP99: lag.recent_p99,
      published,
      failed,
    };
  } finally {
    socket.disconnect();
    child.removeAllListeners('exit');
    child.kill('SIGKILL');
  }
}

function median(rounds: readonly Figures[], figure: keyof Figures): number {
  return rounds.map((round) => round[figure]).sort((one, other) => one - other)[
    Math.floor(rounds.length / 2)
  ]!;
}

async function main(): Promise<void> {
  const names = Object.keys(sides) as SideName[];
  const found = new Map<SideName, Figures[]>(names.map((name) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++)
    for (const name of names) found.get(name)!.push(await measure(name));
  const columns = [
    'healthP50',
    'healthP99',
    'publishP50',
    'publishP99',
    'lagP99',
    'published',
    'failed',
  ] as const;
  console.log(`${new Date().toISOString()} ${process.version} ${JSON.stringify(values)}`);
  console.table(
    Object.fromEntries(
      names.map((name) => [
        name,
        Object.fromEntries(columns.map((column) => [column, median(found.get(name)!, column)])),
      ]),
    ),
  );
}

void main();
