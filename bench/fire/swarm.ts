import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../chaos/processes/wait.js';
import { tokenFor } from '../processes.js';
import { ClientLink, type Rotation } from './client-link.js';
import { FireClient, type FireWire, type Return } from './fire-client.js';
import type { Plant } from './plant.js';
import { deliveriesBetween, sumOf, type Deliveries } from './stream-check.js';

/** One process of clients, as its first argument. */
export interface SwarmPlan {
  readonly wire: FireWire;
  readonly ports: readonly number[];
  /** Number of its first client among those of all processes. */
  readonly first: number;
  readonly clients: number;
  readonly topics: readonly string[];
  /** Each connection is cut this often, for this long. */
  readonly cutEveryMs: number;
  readonly cutMs: number;
  /** A fault in what the first client of each process receives. */
  readonly plant?: Plant;
}

/** What its parent asks of it. */
export type SwarmRequest =
  | { readonly ask: 'cut'; readonly isOn: boolean }
  | { readonly ask: 'rotation'; readonly ports: readonly number[] }
  /** The numbers at which the parts of the run begin, topic by topic, and the one after the last. */
  | { readonly ask: 'finish'; readonly bounds: readonly (readonly number[])[]; readonly limitMs: number };

/** What it reports. */
export type SwarmReport =
  | { readonly at: 'ready' }
  | { readonly at: 'count'; readonly ready: number }
  | { readonly at: 'done'; readonly result: SwarmResult };

export interface SwarmResult {
  /** Clients with a subscription at the end. */
  readonly ready: number;
  /** For each part of the run. */
  readonly deliveries: readonly Deliveries[];
  readonly returns: readonly Return[];
  /** How late the timers of this process were, in milliseconds: it adds to the times that it measures. */
  readonly loopDelayP99Ms: number;
}

/** Connections that are opened at the same time. */
const connectGroup = 25;
const tickMs = 10;
/** What the histogram of delays holds includes it. */
const loopResolutionMs = 5;
const countEveryMs = 250;

class Swarm {
  private readonly rotation: Rotation;
  private readonly clients: FireClient[] = [];
  private cuts: NodeJS.Timeout | undefined;
  private readonly loopDelay = monitorEventLoopDelay({ resolution: loopResolutionMs });

  constructor(private readonly plan: SwarmPlan) {
    this.rotation = { ports: plan.ports };
  }

  async connect(): Promise<void> {
    const { first, clients, wire, topics, plant } = this.plan;
    for (let number = first; number < first + clients; number++) {
      const link = new ClientLink(this.rotation, number);
      const topic = topics[number % topics.length]!;
      const token = tokenFor(`user-${number}`, ['user']);
      const planted = number === first ? plant : undefined;
      this.clients.push(new FireClient(wire, topic, link, token, planted));
      const isGroup = this.clients.length % connectGroup === 0 || this.clients.length === clients;
      if (isGroup && !(await waitUntil(() => this.readyCount() === this.clients.length, 60_000, tickMs)))
        throw new Error(`${this.clients.length - this.readyCount()} clients do not connect`);
    }
    report({ at: 'ready' });
    setInterval(() => report({ at: 'count', ready: this.readyCount() }), countEveryMs);
    this.loopDelay.enable();
  }

  async onRequest(request: SwarmRequest): Promise<void> {
    if (request.ask === 'rotation') this.rotation.ports = request.ports;
    else if (request.ask === 'finish')
      report({ at: 'done', result: await this.finish(request.bounds, request.limitMs) });
    else if (request.isOn) this.beginCuts();
    else clearInterval(this.cuts);
  }

  /** Evenly: at no moment is more than its share cut. */
  private beginCuts(): void {
    const { cutEveryMs, cutMs } = this.plan;
    const { length } = this.clients;
    const startedAt = performance.now();
    let cut = 0;
    this.cuts = setInterval(() => {
      const due = Math.floor(((performance.now() - startedAt) / cutEveryMs) * length);
      for (; cut < due; cut++) this.clients[cut % length]!.cut(cutMs);
    }, tickMs);
  }

  /** Waits until everybody has everything, or the time is up. */
  private async finish(bounds: readonly (readonly number[])[], limitMs: number): Promise<SwarmResult> {
    const boundsOf = (n: number) => bounds[(this.plan.first + n) % this.plan.topics.length]!;
    const isComplete = () =>
      this.clients.every(({ isReady, check }, n) => isReady && check.last >= boundsOf(n).at(-1)! - 1);
    await waitUntil(isComplete, limitMs, countEveryMs);
    // What should not come would come now.
    await sleep(1000);
    const ready = this.readyCount();
    const loopDelayP99Ms = this.loopDelay.percentile(99) / 1e6 - loopResolutionMs;
    for (const client of this.clients) client.stop();
    const parts = bounds[0]!.length - 1;
    const deliveries = Array.from({ length: parts }, (_, part) =>
      sumOf(
        this.clients.map(({ check }, n) =>
          deliveriesBetween(check, boundsOf(n)[part]!, boundsOf(n)[part + 1]!),
        ),
      ),
    );
    return { ready, deliveries, returns: this.clients.flatMap(({ returns }) => returns), loopDelayP99Ms };
  }

  private readyCount(): number {
    return this.clients.reduce((count, { isReady }) => count + Number(isReady), 0);
  }
}

function report(message: SwarmReport): void {
  process.send!(message);
}

const swarm = new Swarm(JSON.parse(process.argv[2]!) as SwarmPlan);
process.on('message', (request: SwarmRequest) => void swarm.onRequest(request));
// Its parent has ended.
process.once('disconnect', () => process.exit(1));
void swarm.connect();
