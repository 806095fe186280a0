// A process with one stock client that publishes steadily and waits for each acknowledgement, until it is told
// to stop.
import { setTimeout as sleep } from 'node:timers/promises';
import { connectHonest } from './preparation.js';
import { quantile } from './quantile.js';

/** What the publisher saw; times in milliseconds. */
export interface HonestResult {
  readonly acknowledged: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Publishes that were refused, by code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly unanswered: number;
  readonly wasDisconnected: boolean;
  /** Whether a last publish, after the attack, was acknowledged. */
  readonly servedAtEnd: boolean;
}

interface PublishAnswer {
  readonly ok: boolean;
  readonly error?: { readonly code: string };
}

const pauseMs = 50;
/** Publishes that make the process reach the size that it has in normal work. */
const warmUp = 5000;
/** Longer than the outcome of an interrupted publish is looked up (`redis.outcome_limit_ms`). */
const answerLimitMs = 40_000;

async function run(port: number): Promise<void> {
  const socket = await connectHonest(port, 'honest');
  let wasDisconnected = false;
  socket.on('disconnect', () => (wasDisconnected = true));
  const publish = (): Promise<PublishAnswer | undefined> =>
    socket
      .timeout(answerLimitMs)
      .emitWithAck('publish', { topic: 'honest', payload: { text: 'hello' } })
      .catch(() => undefined) as Promise<PublishAnswer | undefined>;
  for (let n = 0; n < warmUp; n += 50) await Promise.all(Array.from({ length: 50 }, publish));

  const times: number[] = [];
  const refused: Record<string, number> = {};
  let unanswered = 0;
  let isRunning = true;
  process.on('message', (message) => {
    if (message === 'stop') isRunning = false;
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.('ready');

  const underWay = new Set<Promise<void>>();
  while (isRunning) {
    const startedAt = performance.now();
    const one = publish().then((answer) => {
      if (answer?.ok === true) times.push(performance.now() - startedAt);
      else if (answer?.error !== undefined)
        refused[answer.error.code] = (refused[answer.error.code] ?? 0) + 1;
      else unanswered++;
      underWay.delete(one);
    });
    underWay.add(one);
    await sleep(pauseMs);
  }
  await Promise.all(underWay);
  let servedAtEnd = false;
  for (let attempt = 0; attempt < 20 && !servedAtEnd && socket.connected; attempt++) {
    servedAtEnd = (await publish())?.ok === true;
    if (!servedAtEnd) await sleep(250);
  }
  const result: HonestResult = {
    acknowledged: times.length,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    max: quantile(times, 1),
    refused,
    unanswered,
    wasDisconnected,
    servedAtEnd,
  };
  process.send?.(result, () => process.exit(0));
}

void run(Number(process.argv[2]));
