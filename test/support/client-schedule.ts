import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy } from '../../bench/chaos/faults/fault-proxy.js';
import { createClient, type Client, type TopicMessage } from '../../client/index.js';
import { savedState } from '../../client/state.js';
import { Closing } from './closing.js';
import { tokenOf } from './replica.js';
import { seededRandom } from '../../bench/seeded-random.js';
import { until } from './wait.js';

interface Numbered {
  readonly n: number;
}

const sentinel = -1;

/** How long a schedule is. Everything in it takes a part of `faultsMs`. */
export interface ScheduleSize {
  readonly faultsMs: number;
  readonly messages: number;
  /** A slow listener takes so long at most. */
  readonly listenerMs: number;
  /** The last message has to arrive within this time. */
  readonly patienceMs: number;
}

/**
 * One publisher and one subscriber of a topic, each behind a network path with random faults, on any of the replicas. The
 * subscriber is a page that keeps its list, and is reloaded now and then. Resolves to what was wrong with the list.
 */
export class ClientSchedule {
  private readonly random: (below: number) => number;
  private readonly topic: string;
  private readonly closing = new Closing();
  /** What the page keeps, as a database of its own would. */
  private readonly list: TopicMessage<Numbered>[] = [];
  private readonly saved = new Map<string, string>();
  private readonly gaps: string[] = [];
  private readonly refused: string[] = [];
  private page: Client<Record<string, Numbered>> | undefined;
  private isSubscribed = false;
  private isOver = false;

  constructor(
    readonly seed: number,
    private readonly ports: readonly number[],
    private readonly size: ScheduleSize,
  ) {
    this.random = seededRandom(seed);
    this.topic = `schedule-${seed}-${Math.random().toString(36).slice(2)}`;
  }

  async run(): Promise<string[]> {
    try {
      const near = await this.path();
      const far = await this.path();
      const publisher = this.client(near, 'publisher');
      this.closing.add(() => Promise.resolve(publisher.close()));
      this.load(far);
      this.closing.add(() => Promise.resolve(this.page?.close()));
      publisher.connect();
      await until(() => this.isSubscribed, 'the page is subscribed', 60_000);
      const faults = Promise.all([this.disturb(near), this.disturb(far), this.reload(far)]);
      await this.publishAll(publisher);
      await faults;
      await publisher.topic(this.topic).publish({ n: sentinel });
      await until(
        () => this.list.some(({ payload }) => payload.n === sentinel),
        `the end arrives (${this.seed})`,
        this.size.patienceMs,
      );
      return [...this.wrong(), ...this.refused];
    } finally {
      this.isOver = true;
      await this.closing.close();
    }
  }

  private async path(): Promise<FaultProxy> {
    const proxy = await FaultProxy.start(this.ports[this.random(this.ports.length)]!);
    this.closing.add(() => proxy.stop());
    return proxy;
  }

  private client(
    path: FaultProxy,
    user: string,
    state?: Map<string, string>,
  ): Client<Record<string, Numbered>> {
    return createClient<Record<string, Numbered>>({
      url: `http://127.0.0.1:${path.port}`,
      token: tokenOf(user),
      reconnect: { baseDelayMs: this.share(0.0125), maxDelayMs: this.share(0.1) },
      // Not shorter in short schedules: a busy machine could never connect.
      connectTimeoutMs: 3000,
      requestTimeoutMs: 1500,
      probeTimeoutMs: 500,
      ...(state !== undefined && {
        state: savedState({
          store: {
            getItem: (key) => state.get(key),
            setItem: (key, value) => state.set(key, value),
            removeItem: (key) => state.delete(key),
          },
        }),
      }),
    });
  }

  /** A page comes up. Its listener takes a while, as one that writes to a database. */
  private load(path: FaultProxy): void {
    const page = this.client(path, 'subscriber', this.saved);
    this.page = page;
    const isSlow = this.random(2) === 0;
    const subscription = page.topic(this.topic).subscribe();
    const { list } = this;
    subscription.on('subscribed', () => (this.isSubscribed = true));
    subscription.on('gap', (gap) => this.gaps.push(JSON.stringify(gap)));
    subscription.on('message', (message) => {
      const keep = () => {
        // A page that has gone writes nothing any more.
        if (this.page === page) list.push(message);
      };
      return isSlow ? sleep(this.random(this.size.listenerMs)).then(keep) : keep();
    });
    this.readFromTheStart(page);
    page.connect();
  }

  /** A second subscription, from the first message on: so messages come again that the first one has. */
  private readFromTheStart(page: Client<Record<string, Numbered>>): void {
    const [first] = this.list;
    if (first === undefined) return;
    let last = 0;
    page
      .topic(this.topic)
      .subscribe({ id: 'whole', since: { epoch: first.epoch, sequence: 0 } })
      .on('message', ({ sequence }) => {
        if (sequence !== last + 1) this.refused.push(`whole: sequence ${sequence} after ${last}`);
        last = sequence;
      });
  }

  /** A part of the time of the faults, in milliseconds. */
  private share(part: number): number {
    return Math.ceil(part * this.size.faultsMs);
  }

  private async publishAll(publisher: Client<Record<string, Numbered>>): Promise<void> {
    const receipts: Promise<unknown>[] = [];
    const { faultsMs, messages } = this.size;
    for (let n = 1; n <= messages; n++) {
      const published = publisher.topic(this.topic).publish({ n });
      receipts.push(
        published.catch((error: Error) => this.refused.push(`${n} was refused: ${error.message}`)),
      );
      await sleep(this.random((2 * faultsMs) / messages));
    }
    await Promise.all(receipts);
  }

  private async disturb(path: FaultProxy): Promise<void> {
    const endAt = Date.now() + this.size.faultsMs;
    while (Date.now() < endAt && !this.isOver) {
      await sleep(this.random(this.share(0.075)));
      const fault = this.random(6);
      if (fault === 0) path.cut();
      else if (fault === 1) path.state.delayMs = this.random(this.share(0.02));
      else if (fault === 2) path.retarget(this.ports[this.random(this.ports.length)]!);
      else if (fault === 3) path.abandonNear();
      else if (fault === 4) path.state.isHeld = true;
      else path.state.isRefusing = true;
      await sleep(this.random(this.share(fault === 4 ? 0.375 : 0.075)));
      path.heal();
    }
  }

  private async reload(path: FaultProxy): Promise<void> {
    const endAt = Date.now() + this.size.faultsMs;
    while (Date.now() < endAt && !this.isOver) {
      await sleep(this.share(0.05) + this.random(this.share(0.2)));
      const former = this.page!;
      this.load(path);
      former.close();
    }
  }

  private wrong(): string[] {
    const wrong = this.gaps.map((gap) => `a loss was told: ${gap}`);
    const seen = new Map<number, number>();
    let last = 0;
    for (const { payload, sequence } of this.list) {
      seen.set(payload.n, (seen.get(payload.n) ?? 0) + 1);
      if (sequence <= last) wrong.push(`sequence ${sequence} after ${last}`);
      last = sequence;
    }
    for (let n = 1; n <= this.size.messages; n++)
      if (seen.get(n) !== 1) wrong.push(`message ${n} was handed over ${seen.get(n) ?? 0} times`);
    return wrong;
  }
}

const atATime = 12;

/** Runs schedules. Resolves to what was wrong, by seed. */
export async function runSchedules(
  count: number,
  from: number,
  ports: readonly number[],
  size: ScheduleSize,
): Promise<string[]> {
  const wrong: string[] = [];
  let next = 0;
  const runSome = async () => {
    while (next < count) {
      const one = from + next++;
      for (const what of await new ClientSchedule(one, ports, size).run()) wrong.push(`SEED=${one}: ${what}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, atATime) }, runSome));
  return wrong;
}

/** Schedules of the tests. More by command: `SCHEDULES=3000 npm test -- test/integration/client-schedules.test.ts`. */
export const scheduleCount = Number(process.env['SCHEDULES'] ?? 60);
