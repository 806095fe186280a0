import { setTimeout as sleep } from 'node:timers/promises';
import { RawConnection } from './raw-connection.js';
import { clientFrame, type BenchWire } from './wire.js';

/** The plan of the load process, passed as one JSON argument. */
export interface LoadPlan {
  readonly ports: readonly number[];
  readonly wire: BenchWire;
  readonly path: string;
  readonly tokens: readonly string[];
  readonly subscribers: number;
  /** Topic numbers of a subscriber: `first + k * stride`, `count` of them, modulo `topics`. */
  readonly topics: number;
  readonly topicsPerSubscriber: number;
  readonly publishers: number;
  readonly ratePerSec: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
  /** Number of subscribers that stop reading at the window's start and continue at its end. */
  readonly stalled: number;
  /** Number of connections that are opened at the same time. */
  readonly connectGroup: number;
  /** Length of a payload, in bytes; the shortest one has about 80. */
  readonly payloadBytes?: number;
}

/** The report of the load process. */
export interface LoadResult {
  readonly offered: number;
  readonly published: number;
  /** Publishes that were answered, and the refused ones among them, which must not be delivered. */
  readonly acknowledged: number;
  readonly refused: number;
  /** Deliveries within the window. */
  readonly delivered: number;
  readonly windowMs: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** After the end of all deliveries: those that are missing, or out of order. */
  readonly missing: number;
  readonly disorder: number;
  readonly announced: number;
  readonly drainMs: number;
}

/** Messages between this process and its parent. */
export type LoadMessage =
  | { readonly at: 'ready' }
  | { readonly at: 'start' | 'end' }
  | { readonly at: 'done'; readonly result: LoadResult };

const latencyMaxMs = 60_000;
const shortText = 'some words, as people write them';
/** The length of a payload with that text. */
const shortPayloadBytes = 80;
const zero = 0x30;
const nine = 0x39;

/** An acknowledgement packet of a refused publish, without its `43`. */
const refusal = /^(\d+)\[\{"ok":false/;

class Client extends RawConnection {
  ready: (() => void) | undefined;
  /** Last number received per publisher. */
  readonly last: number[] = [];
  received = 0;
  announced = 0;
  private hello: string | undefined;

  constructor(
    readonly index: number,
    private readonly load: Load,
  ) {
    super();
  }

  connect(port: number, path: string, hello: string | undefined): Promise<void> {
    this.hello = hello;
    return new Promise((resolve, reject) => {
      this.ready = resolve;
      this.open(port, path).on('error', reject);
    });
  }

  protected onOpen(): void {
    if (this.hello === undefined) this.ready?.();
  }

  protected onRefused(response: string): void {
    throw new Error(`refused: ${response.slice(0, 300)}`);
  }

  protected onFrame(chunk: Buffer, start: number, end: number): void {
    this.load.onFrame(this, chunk, start, end, this.hello);
  }
}

/** Puts load on one side and checks the result: completeness, order and latency. */
class Load {
  private readonly latencies = new Uint32Array(latencyMaxMs);
  private sampled = 0;
  private measuring = false;
  private delivered = 0;
  private deliveredTotal = 0;
  private acknowledged = 0;
  private refused = 0;
  private disorder = 0;
  private readonly waitingAcks = new Map<Client, () => void>();
  private readonly sentBy: number[] = [];
  /** The text of each message. */
  private readonly text: string;

  constructor(private readonly plan: LoadPlan) {
    this.text = shortText + '.'.repeat(Math.max(0, (plan.payloadBytes ?? 0) - shortPayloadBytes));
  }

  onFrame(client: Client, chunk: Buffer, start: number, end: number, hello: string | undefined): void {
    const { plan } = this;
    if (plan.wire === 'json') {
      // An acknowledgement begins with `{"a`; everything else is a message.
      if (chunk[start + 2] === 0x61) this.onAck(client, '');
      else this.onMessage(client, chunk, end);
      return;
    }
    const first = chunk[start];
    if (first === 0x32) client.send('3');
    else if (first === 0x30) client.send(hello!);
    else if (first === 0x34) {
      const second = chunk[start + 1];
      if (second === 0x33) this.onAck(client, chunk.toString('latin1', start + 2, Math.min(end, start + 24)));
      else if (second === 0x30) client.ready?.();
      // 42["message", not "status", "gap" or another event.
      else if (chunk[start + 4] === 0x6d) this.onMessage(client, chunk, end);
      else if (chunk[start + 4] === 0x67) this.onGap(client, chunk.toString('utf8', start + 2, end));
    }
  }

  private onAck(client: Client, head: string): void {
    const waiting = this.waitingAcks.get(client);
    if (waiting === undefined) {
      this.acknowledged++;
      const refused = refusal.exec(head);
      if (refused === null) return;
      const topic = this.topics[Number(refused[1])]!;
      this.refused++;
      this.sentTo.set(topic, this.sentTo.get(topic)! - 1);
      return;
    }
    this.waitingAcks.delete(client);
    waiting();
  }

  private onGap(client: Client, text: string): void {
    const [, gap] = JSON.parse(text) as [string, { sequence: number; previous?: { sequence: number } }];
    client.announced += gap.sequence - (gap.previous?.sequence ?? gap.sequence);
  }

  /** The payload comes last and ends with `"p":<publisher>,"n":<number>}` and brackets. */
  private onMessage(client: Client, chunk: Buffer, end: number): void {
    let at = end - 1;
    while (chunk[at]! < zero || chunk[at]! > nine) at--;
    let n = 0;
    let scale = 1;
    for (; chunk[at]! >= zero && chunk[at]! <= nine; at--) {
      n += (chunk[at]! - zero) * scale;
      scale *= 10;
    }
    at -= 5;
    let publisher = 0;
    scale = 1;
    for (; chunk[at]! >= zero && chunk[at]! <= nine; at--) {
      publisher += (chunk[at]! - zero) * scale;
      scale *= 10;
    }
    client.received++;
    this.deliveredTotal++;
    const last = client.last[publisher] ?? 0;
    if (n <= last) this.disorder++;
    client.last[publisher] = n;
    if (!this.measuring) return;
    this.delivered++;
    if ((this.delivered & 15) !== 0 && this.plan.subscribers > 20) return;
    at -= 5;
    let sentAt = 0;
    scale = 1;
    for (; chunk[at]! >= zero && chunk[at]! <= nine; at--) {
      sentAt += (chunk[at]! - zero) * scale;
      scale *= 10;
    }
    this.latencies[Math.min(latencyMaxMs - 1, Math.max(0, Date.now() - sentAt))]!++;
    this.sampled++;
  }

  async run(): Promise<LoadResult> {
    const { plan } = this;
    const subscribers = await this.connectAll(plan.subscribers, 0, true);
    const publishers = await this.connectAll(plan.publishers, plan.subscribers, false);
    report({ at: 'ready' });
    const startedAt = performance.now();
    let sent = 0;
    let stopped = false;
    const pace = () => {
      if (stopped) return;
      const due = Math.floor(((performance.now() - startedAt) / 1000) * plan.ratePerSec);
      if (due > sent) this.publish(publishers, sent, due);
      sent = Math.max(sent, due);
      setTimeout(pace, 1);
    };
    if (plan.ratePerSec > 0) pace();
    await sleep(plan.warmUpMs);
    const stalled = subscribers.slice(0, plan.stalled);
    for (const { socket } of stalled) socket!.pause();
    this.measuring = true;
    report({ at: 'start' });
    const sentAtStart = sent;
    const windowFromMs = performance.now();
    await sleep(plan.windowMs);
    const windowMs = performance.now() - windowFromMs;
    this.measuring = false;
    report({ at: 'end' });
    const delivered = this.delivered;
    const offered = sent - sentAtStart;
    for (const { socket } of stalled) socket!.resume();
    stopped = true;
    const drainFromMs = performance.now();
    const complete = () =>
      this.acknowledged >= sent &&
      this.deliveredTotal + sum(subscribers.map(({ announced }) => announced)) >= this.expected(subscribers);
    const drainLimitMs = plan.stalled > 0 ? 60_000 : 5000;
    while (!complete() && performance.now() - drainFromMs < drainLimitMs) await sleep(20);
    const announced = sum(subscribers.map((client) => client.announced));
    const expected = this.expected(subscribers);
    return {
      offered,
      published: sent,
      acknowledged: this.acknowledged,
      refused: this.refused,
      delivered,
      windowMs,
      p50: this.quantile(0.5),
      p99: this.quantile(0.99),
      p999: this.quantile(0.999),
      missing: expected - this.deliveredTotal - announced,
      disorder: this.disorder,
      announced,
      drainMs: performance.now() - drainFromMs,
    };
  }

  private async connectAll(count: number, offset: number, subscribe: boolean): Promise<Client[]> {
    const { plan } = this;
    const clients: Client[] = [];
    for (let i = 0; i < count; i += plan.connectGroup) {
      const group: Promise<void>[] = [];
      for (let j = i; j < Math.min(count, i + plan.connectGroup); j++) {
        const client = new Client(j, this);
        clients.push(client);
        group.push(this.connectOne(client, offset + j, subscribe));
      }
      await Promise.all(group);
    }
    return clients;
  }

  private async connectOne(client: Client, number: number, subscribe: boolean): Promise<void> {
    const { plan } = this;
    const token = plan.tokens[number % plan.tokens.length]!;
    const port = plan.ports[number % plan.ports.length]!;
    const hello = plan.wire === 'socketio' ? `40${JSON.stringify({ token })}` : undefined;
    await client.connect(port, plan.path.replace('TOKEN', token), hello);
    client.ready = undefined;
    if (!subscribe) return;
    const topics = Array.from(
      { length: plan.topicsPerSubscriber },
      (_, k) => `t${(number * plan.topicsPerSubscriber + k) % plan.topics}`,
    );
    await new Promise<void>((resolve) => {
      this.waitingAcks.set(client, resolve);
      client.send(
        plan.wire === 'socketio'
          ? `420["subscribe",${JSON.stringify({ topics })}]`
          : JSON.stringify({ subscribe: topics }),
      );
    });
  }

  private publish(publishers: readonly Client[], from: number, to: number): void {
    const { plan } = this;
    const perPublisher = new Map<Client, string[]>();
    const now = Date.now();
    for (let i = from; i < to; i++) {
      const which = i % publishers.length;
      const client = publishers[which]!;
      // Each publisher has its own topics, so that its numbers ascend on each of them.
      const share = Math.max(1, Math.floor(plan.topics / publishers.length));
      const n = (this.sentBy[which] = (this.sentBy[which] ?? 0) + 1);
      const topic = `t${plan.topics >= publishers.length ? (which * share + (n % share)) % plan.topics : 0}`;
      this.sentTo.set(topic, (this.sentTo.get(topic) ?? 0) + 1);
      this.topics[i] = topic;
      // Numbers ascend per publisher on one topic, or per topic if each topic has one publisher.
      const stream = plan.topics >= publishers.length ? topic.slice(1) : which;
      const payload = `{"text":"${this.text}","t":${now},"p":${stream},"n":${n}}`;
      const text =
        plan.wire === 'socketio'
          ? `42${i}["publish",{"topic":"${topic}","payload":${payload}}]`
          : `{"topic":"${topic}","payload":${payload}}`;
      const texts = perPublisher.get(client);
      if (texts === undefined) perPublisher.set(client, [text]);
      else texts.push(text);
    }
    for (const [client, texts] of perPublisher) client.socket!.write(Buffer.concat(texts.map(clientFrame)));
  }

  private readonly sentTo = new Map<string, number>();
  /** Topics of the publishes, by packet id. */
  private readonly topics: string[] = [];

  private expected(subscribers: readonly Client[]): number {
    const { plan } = this;
    let expected = 0;
    for (const { index } of subscribers) {
      for (let k = 0; k < plan.topicsPerSubscriber; k++)
        expected += this.sentTo.get(`t${(index * plan.topicsPerSubscriber + k) % plan.topics}`) ?? 0;
    }
    return expected;
  }

  private quantile(share: number): number {
    let rest = this.sampled * share;
    for (let ms = 0; ms < latencyMaxMs; ms++) {
      rest -= this.latencies[ms]!;
      if (rest <= 0) return ms;
    }
    return latencyMaxMs;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function report(message: LoadMessage): void {
  process.send!(message);
}

async function main(): Promise<void> {
  const plan = JSON.parse(process.argv[2]!) as LoadPlan;
  const result = await new Load(plan).run();
  report({ at: 'done', result });
  setTimeout(() => process.exit(0), 100);
}

void main();
