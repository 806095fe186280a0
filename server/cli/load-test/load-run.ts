import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createHistogram } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { assertWritable, writeAtomically } from '../atomic-file.js';
import { cannotWrite } from '../cli-error.js';
import { exitCodes, type ExitCode } from '../exit-codes.js';
import { ServiceClient } from '../target/service-client.js';
import type { ServiceContext } from '../run-command.js';
import { topicsOf, type LoadOptions } from './load-options.js';
import { histogramOptions, type WorkerEnd, type WorkerPlan, type WorkerTick } from './load-plan.js';
import { reportPage } from './load-report.js';
import { crossed, type LoadResult, type LoadSecond } from './load-result.js';

/** Clients per second, if `--ramp` is not given: below what a service admits by default. */
const rampPerSec = 300;

/** Puts load on a service. The thresholds decide the exit code. */
export async function loadTest(
  options: LoadOptions,
  tokenFor: (index: number) => string,
  { target, terminal, timeoutMs }: ServiceContext,
): Promise<ExitCode> {
  const { report } = options;
  // Afterwards it would be too late to say that it cannot be written.
  if (report !== undefined)
    await assertWritable(report).catch((error: unknown) => cannotWrite(report, error));
  await new ServiceClient(target, { timeoutMs }).reach();
  const topics = topicsOf(options);
  const workers = Math.min(options.workers, topics);
  const rampMs = options.ramp ?? Math.ceil((options.connections / rampPerSec) * 1000);
  const shared = {
    url: target.url,
    run: randomUUID().slice(0, 8),
    transport: options.transport,
    timeoutMs,
    startAt: Date.now() + 500,
    rampMs,
    durationMs: options.duration,
    ratePerSec: options.rate,
  };
  const clients = Array.from({ length: options.connections }, (_, i) => {
    return {
      token: tokenFor(i),
      topic: `load.test.${i % topics}`,
      at: i / options.connections,
      worker: (i % topics) % workers,
    };
  });
  const total = new LoadTotal((line) => terminal.note(line));
  const ends = await Promise.all(
    Array.from({ length: workers }, (_, n) =>
      runWorker({ ...shared, clients: clients.filter(({ worker }) => worker === n) }, total),
    ),
  );
  const measured = {
    url: target.url,
    at: shared.startAt,
    options: {
      connections: options.connections,
      rate: options.rate,
      duration_ms: options.duration,
      ramp_ms: rampMs,
      topics,
      transport: options.transport,
      workers,
    },
    ...total.result(ends),
  };
  const thresholds = {
    maxLossPercent: options.maxLoss,
    maxP99Ms: options.maxP99,
    maxErrors: options.maxErrors,
  };
  const result: LoadResult = { ...measured, failed: crossed(measured, thresholds) };
  if (report !== undefined)
    await writeAtomically(report, [reportPage(result)]).catch((error: unknown) => cannotWrite(report, error));
  terminal.result(result, () => inWords(result));
  for (const problem of result.failed) terminal.note(`failed: ${problem}`);
  return result.failed.length === 0 ? exitCodes.done : exitCodes.failed;
}

/** What all workers have counted. */
class LoadTotal {
  private readonly counts = { connected: 0, sent: 0, acknowledged: 0, received: 0 };
  private readonly latency = createHistogram(histogramOptions);
  private readonly seconds: LoadSecond[] = [];
  private current = { at: 0, sent: 0, received: 0, latency: createHistogram(histogramOptions) };

  constructor(private readonly onProgress: (line: string) => void) {}

  add({ counts, latency }: WorkerTick): void {
    const at = Math.floor(Date.now() / 1000);
    if (at !== this.current.at) this.endSecond(at);
    this.counts.connected += counts.connected;
    this.counts.sent += counts.sent;
    this.counts.acknowledged += counts.acknowledged;
    this.counts.received += counts.received;
    this.current.sent += counts.sent;
    this.current.received += counts.received;
    if (latency.count === 0) return;
    this.latency.add(latency);
    this.current.latency.add(latency);
  }

  result(ends: readonly WorkerEnd[]): Omit<LoadResult, 'url' | 'at' | 'options' | 'failed'> {
    this.endSecond(0);
    const sum = (read: (end: WorkerEnd) => number) => ends.reduce((all, end) => all + read(end), 0);
    const errors: Record<string, number> = {};
    for (const end of ends)
      for (const [code, count] of Object.entries(end.errors)) errors[code] = (errors[code] ?? 0) + count;
    const expected = sum((end) => end.expected);
    const lost = sum((end) => end.lost);
    const at = (percentile: number) => this.ms(this.latency.percentile(percentile));
    const isEmpty = this.latency.count === 0;
    return {
      connections: this.counts.connected,
      sent: this.counts.sent,
      acknowledged: this.counts.acknowledged,
      received: this.counts.received,
      expected,
      lost,
      loss_percent: expected === 0 ? 0 : Number(((lost / expected) * 100).toFixed(4)),
      duplicates: sum((end) => end.duplicates),
      out_of_order: sum((end) => end.outOfOrder),
      errors,
      latency_ms: isEmpty
        ? { mean: 0, p50: 0, p90: 0, p99: 0, p99_9: 0, max: 0 }
        : {
            mean: this.ms(this.latency.mean),
            p50: at(50),
            p90: at(90),
            p99: at(99),
            p99_9: at(99.9),
            max: this.ms(this.latency.max),
          },
      percentiles: isEmpty
        ? []
        : [1, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99].map((percentile) => ({
            percentile,
            ms: at(percentile),
          })),
      seconds: this.seconds,
    };
  }

  private endSecond(next: number): void {
    const { at, sent, received, latency } = this.current;
    if (at !== 0) {
      const p50 = latency.count === 0 ? 0 : this.ms(latency.percentile(50));
      const p99 = latency.count === 0 ? 0 : this.ms(latency.percentile(99));
      this.seconds.push({ at, connections: this.counts.connected, sent, received, p50_ms: p50, p99_ms: p99 });
      this.onProgress(
        `${this.counts.connected} connected, ${sent} sent/s, ${received} received/s, p99 ${p99} ms`,
      );
    }
    this.current = { at: next, sent: 0, received: 0, latency: createHistogram(histogramOptions) };
  }

  private ms(micros: number): number {
    return Number((micros / 1000).toFixed(2));
  }
}

function runWorker(plan: WorkerPlan, total: LoadTotal): Promise<WorkerEnd> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(join(__dirname, 'load-worker.js'), { workerData: plan });
    let end: WorkerEnd | undefined;
    worker.on('message', (message: WorkerTick | WorkerEnd) => {
      if (message.kind === 'tick') total.add(message);
      else end = message;
    });
    worker.once('error', reject);
    worker.once('exit', () =>
      end === undefined ? reject(new Error('a worker has ended early')) : resolve(end),
    );
  });
}

function inWords({
  connections,
  options,
  sent,
  received,
  errors,
  latency_ms: latency,
  ...rest
}: LoadResult): string {
  const failures = Object.entries(errors).map(([code, count]) => `${code} ${count}`);
  return [
    `connections    ${connections} of ${options.connections}`,
    `sent           ${sent} (${rest.acknowledged} acknowledged)`,
    `received       ${received} of ${rest.expected}`,
    `errors         ${failures.length === 0 ? 0 : failures.join(', ')}`,
    `latency        average ${latency.mean} ms, p50 ${latency.p50}, p90 ${latency.p90}, p99 ${latency.p99}, p99.9 ${latency.p99_9}, max ${latency.max}`,
    `loss           ${rest.loss_percent} % (${rest.lost})`,
    `twice          ${rest.duplicates}`,
    `out of order   ${rest.out_of_order}`,
  ].join('\n');
}
