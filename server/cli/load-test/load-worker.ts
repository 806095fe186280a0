import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { LoadClient } from './load-client.js';
import {
  histogramOptions,
  type LoadCounts,
  type WorkerEnd,
  type WorkerPlan,
  type WorkerTick,
} from './load-plan.js';
import { TopicCheck } from './topic-check.js';

/** Between two looks at what is due. */
const stepMs = 5;
/** What is under way at the end may take so long. */
const settleMs = 5000;

/** The clients of one thread. A topic is on one thread: its clock is that of publisher and subscribers. */
class LoadWorker {
  private counts: LoadCounts = { connected: 0, sent: 0, acknowledged: 0, received: 0 };
  private latency = createHistogram(histogramOptions);
  private readonly clients: { readonly client: LoadClient; readonly topic: string }[] = [];
  private readonly checks: { readonly topic: string; readonly start: number; readonly check: TopicCheck }[] =
    [];
  /** The last stored sequence of each topic. */
  private readonly stored = new Map<string, number>();
  private readonly errors: Record<string, number> = {};
  private unanswered = 0;

  constructor(private readonly plan: WorkerPlan) {}

  async run(): Promise<void> {
    const { startAt, rampMs, durationMs, clients } = this.plan;
    const ticker = setInterval(() => this.tick(), 1000);
    await Promise.all(clients.map((client) => this.open(client)));
    await sleep(Math.max(0, startAt + rampMs - Date.now()));
    await this.publish(durationMs);
    await this.settle();
    clearInterval(ticker);
    this.tick();
    this.end();
    for (const { client } of this.clients) client.close();
  }

  private async open({ token, topic, at }: WorkerPlan['clients'][number]): Promise<void> {
    const { url, transport, timeoutMs, startAt, rampMs, run } = this.plan;
    await sleep(Math.max(0, startAt + at * rampMs - Date.now()));
    const check = new TopicCheck();
    try {
      const { client, position } = await LoadClient.open(
        { url, token, topic, transport, timeoutMs },
        {
          onMessage: ({ epoch, sequence, payload }) => {
            check.received(epoch, sequence);
            this.counts.received++;
            if (payload.run !== run || payload.at === undefined) return;
            this.latency.record(Math.max(1, Math.round((performance.now() - payload.at) * 1000)));
          },
          onAnswer: (sequence, code) => {
            this.unanswered--;
            if (sequence === undefined) this.failed(code);
            else {
              this.counts.acknowledged++;
              this.stored.set(topic, Math.max(sequence, this.stored.get(topic) ?? 0));
            }
          },
          onClosed: (reason) => this.failed(reason),
        },
      );
      check.startAt(position.epoch, position.sequence);
      this.clients.push({ client, topic });
      this.checks.push({ topic, start: position.sequence, check });
      this.counts.connected++;
    } catch (error) {
      this.failed(`connect: ${(error as Error).message}`);
    }
  }

  /** Each client in its turn, so that the load is even. */
  private async publish(durationMs: number): Promise<void> {
    const { ratePerSec, run } = this.plan;
    const startedAt = performance.now();
    const perMs = (this.clients.length * ratePerSec) / 1000;
    let sent = 0;
    for (;;) {
      const elapsed = Math.min(durationMs, performance.now() - startedAt);
      for (const due = Math.floor(elapsed * perMs); sent < due; sent++) {
        this.clients[sent % this.clients.length]!.client.publish({ run, at: performance.now() });
        this.counts.sent++;
        this.unanswered++;
      }
      if (elapsed >= durationMs) return;
      await sleep(stepMs);
    }
  }

  /** Waits until everything that was stored has arrived. */
  private async settle(): Promise<void> {
    const deadline = performance.now() + settleMs;
    const isMissing = () =>
      this.checks.some(({ topic, check }) => check.position < (this.stored.get(topic) ?? 0));
    while ((this.unanswered > 0 || isMissing()) && performance.now() < deadline) await sleep(50);
    // A message twice comes after the first one.
    await sleep(200);
  }

  private tick(): void {
    parentPort!.postMessage({
      kind: 'tick',
      counts: this.counts,
      latency: this.latency,
    } satisfies WorkerTick);
    this.counts = { connected: 0, sent: 0, acknowledged: 0, received: 0 };
    this.latency = createHistogram(histogramOptions);
  }

  private end(): void {
    const sum = (read: (one: (typeof this.checks)[number]) => number) =>
      this.checks.reduce((all, one) => all + read(one), 0);
    parentPort!.postMessage({
      kind: 'end',
      expected: sum(({ topic, start }) => Math.max(0, (this.stored.get(topic) ?? start) - start)),
      lost: sum(({ topic, check }) => check.lostUpTo(this.stored.get(topic) ?? 0)),
      duplicates: sum(({ check }) => check.duplicates),
      outOfOrder: sum(({ check }) => check.outOfOrder),
      epochs: sum(({ check }) => check.epochs),
      errors: this.errors,
    } satisfies WorkerEnd);
  }

  private failed(code: string): void {
    this.errors[code] = (this.errors[code] ?? 0) + 1;
  }
}

void new LoadWorker(workerData as WorkerPlan).run();
