import { randomUUID } from 'node:crypto';
import type { IdleObservation, ProbeFailure, ProbeObservation } from '../observations.js';
import { aheadOf } from './http-look.js';
import { ProbeClient, ProbeError, type ProbeFrame } from './probe-client.js';

/** Messages that each replica is given. */
const messagesEach = 3;

/** One topic for all looks, so that they leave no traces. */
export const probeTopic = 'rtc.doctor';

interface ProbeSettings {
  readonly token: string;
  readonly timeoutMs: number;
}

/** Publishes on each replica, and receives on each. Rejects never. */
export async function probeReplicas(
  urls: readonly string[],
  settings: ProbeSettings,
): Promise<ProbeObservation> {
  const run = new Probe(settings);
  try {
    return await run.observe(urls);
  } finally {
    run.close();
  }
}

interface Endpoint {
  readonly url: string;
  readonly client: ProbeClient;
  /** Sequences by message of this look: `<publisher> <n>`. */
  readonly received: Map<string, number>;
  /** Sequences of all messages on the topic, in order. */
  readonly sequences: number[];
}

class Probe {
  private readonly look = randomUUID().slice(0, 8);
  private readonly failures: ProbeFailure[] = [];
  private readonly endpoints: Endpoint[] = [];
  private readonly sentAt = new Map<string, number>();
  private slowestMs: number | null = null;
  /** By the first replica that lets this client in. */
  private clockAheadMs: number | null = null;

  constructor(private readonly settings: ProbeSettings) {}

  async observe(urls: readonly string[]): Promise<ProbeObservation> {
    for (const url of urls) await this.join(url);
    for (const [index, endpoint] of this.endpoints.entries()) await this.publish(endpoint, index);
    await this.receive();
    this.checkOrder();
    return {
      sent: this.sentAt.size,
      received: this.endpoints.reduce((sum, { received }) => sum + received.size, 0),
      slowest_ms: this.slowestMs,
      clock_ahead_ms: this.clockAheadMs,
      failures: this.failures,
    };
  }

  close(): void {
    for (const { client } of this.endpoints) client.close();
  }

  private async join(url: string): Promise<void> {
    const { token, timeoutMs } = this.settings;
    const client = await this.step(url, 'connect', () => ProbeClient.connect(url, token, timeoutMs));
    if (client === undefined) return;
    // A replica that is in trouble otherwise can still tell the time.
    this.clockAheadMs ??= await this.clockOf(client);
    const endpoint: Endpoint = { url, client, received: new Map(), sequences: [] };
    const onMessage: ProbeClient['onMessage'] = (data) => this.onMessage(endpoint, data);
    client.onMessage = onMessage;
    const subscribed = await this.step(url, 'subscribe', async () => {
      const { data } = await client.ask('Subscribe', { topics: [probeTopic] });
      const { rejected } = data['details'] as {
        rejected: readonly { error: { code: string; message: string } }[];
      };
      const [refused] = rejected;
      if (refused !== undefined) throw new ProbeError(refused.error.code, refused.error.message);
      return true;
    });
    if (subscribed) this.endpoints.push(endpoint);
    else client.close();
  }

  private async clockOf(client: ProbeClient): Promise<number | null> {
    try {
      const startedAt = Date.now();
      const { data } = await client.ask('Ping', { timestamp: startedAt });
      return aheadOf(Number(data['server_time']), startedAt, Date.now());
    } catch {
      // The next step fails too, and says why.
      return null;
    }
  }

  private async publish({ url, client }: Endpoint, index: number): Promise<void> {
    // All at once: they keep their order.
    const numbers = Array.from({ length: messagesEach }, (_, i) => i + 1);
    await Promise.all(
      numbers.map(async (n) => {
        const key = `${index} ${n}`;
        this.sentAt.set(key, performance.now());
        const payload = { look: this.look, from: index, n };
        const publish = () => client.ask('Broadcast', { topic: probeTopic, payload });
        if ((await this.step(url, 'publish', publish)) === undefined) this.sentAt.delete(key);
      }),
    );
  }

  private async receive(): Promise<void> {
    const deadline = performance.now() + this.settings.timeoutMs;
    const isMissing = ({ received }: Endpoint) => [...this.sentAt.keys()].some((key) => !received.has(key));
    while (this.endpoints.some(isMissing) && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 10));
    for (const endpoint of this.endpoints.filter(isMissing)) {
      const missing = [...this.sentAt.keys()].filter((key) => !endpoint.received.has(key)).length;
      const message = `${missing} of ${this.sentAt.size} messages did not come`;
      this.failures.push({ url: endpoint.url, step: 'receive', code: 'lost', message });
    }
  }

  private checkOrder(): void {
    for (const { url, sequences } of this.endpoints) {
      const wrong = sequences.findIndex((sequence, i) => i > 0 && sequence !== sequences[i - 1]! + 1);
      if (wrong < 0) continue;
      const message = `sequence ${sequences[wrong]} came after ${sequences[wrong - 1]}`;
      this.failures.push({ url, step: 'order', code: 'out_of_order', message });
    }
  }

  private onMessage({ received, sequences }: Endpoint, data: ProbeFrame['data']): void {
    const sequence = Number(data['sequence']);
    sequences.push(sequence);
    const { look, from, n } = (data['payload'] ?? {}) as { look?: unknown; from?: unknown; n?: unknown };
    if (look !== this.look) return;
    const key = `${String(from)} ${String(n)}`;
    const sentAt = this.sentAt.get(key);
    if (sentAt === undefined) return;
    received.set(key, sequence);
    this.slowestMs = Math.max(this.slowestMs ?? 0, Math.round(performance.now() - sentAt));
  }

  /** Undefined if the step failed, which is noted. */
  private async step<Result>(
    url: string,
    step: ProbeFailure['step'],
    run: () => Promise<Result>,
  ): Promise<Result | undefined> {
    try {
      return await run();
    } catch (error) {
      const { code, message } =
        error instanceof ProbeError ? error : { code: 'no_connection', message: String(error) };
      this.failures.push({ url, step, code, message });
      return undefined;
    }
  }
}

/** Keeps a connection open on which this side sends nothing. Undefined if there is none. */
export async function watchIdle(
  url: string,
  askedMs: number,
  { token, timeoutMs }: ProbeSettings,
): Promise<IdleObservation | undefined> {
  const client = await ProbeClient.connect(url, token, timeoutMs).catch(() => undefined);
  if (client === undefined) return undefined;
  const openedAt = performance.now();
  let heartbeats = 0;
  client.onHeartbeat(() => heartbeats++);
  const isClosed = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), askedMs);
    client.onceClosed(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
  client.close();
  const closedAfterMs = isClosed ? Math.round(performance.now() - openedAt) : null;
  return { asked_ms: askedMs, closed_after_ms: closedAfterMs, heartbeats };
}
