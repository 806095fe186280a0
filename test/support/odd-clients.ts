import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../bench/seeded-random.js';
import { JsonClient } from './clients.js';
import { PacketClient } from './packet-client.js';
import { PollingClient } from './polling-client.js';
import { tokenOf } from './replica.js';
import { until } from './wait.js';

/** What a client saw that published without waiting for answers. */
interface Flood {
  readonly user: string;
  readonly sent: number;
  readonly acknowledged: readonly number[];
  readonly codes: readonly string[];
  /** Close code and reason, or `open`. */
  readonly end: string;
}

interface Target {
  readonly url: string;
  readonly hasEnded: boolean;
}

const floodTopic = 'flood';
const subscribing = '420["subscribe",{"topics":["news"]}]';

/**
 * Clients that behave badly while replicas are drained: readers that never read, pollers that break off, handshakes in a loop, and publishers
 * that do not wait for answers.
 */
export class OddClients {
  private isOver = false;
  private readonly floods: Flood[] = [];
  private readonly loops: Promise<void>[];

  constructor(
    private readonly balancerUrl: string,
    private readonly targets: readonly Target[],
  ) {
    this.loops = [
      this.repeat((n) => this.neverRead(n)),
      this.repeat((n) => this.breakOff(n)),
      this.repeat((n) => this.onlyOpen(n)),
      this.repeat((n) => this.flood(n)),
    ];
  }

  /** Resolves when all of them have left. */
  async stop(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.loops);
  }

  /** What was wrong with the answers that the floods got. @param isOrderly clients were closed by drains only */
  async problems(isOrderly: boolean): Promise<string[]> {
    const problems: string[] = [];
    const payloads = await storedPayloads(this.targets[0]!.url, floodTopic);
    for (const { user, acknowledged, end } of this.floods) {
      const own = payloads.filter((text) => text.startsWith(`${user} `));
      const stored = own.map((text) => Number(text.split(' ')[1]));
      const known = new Set(stored);
      const missing = acknowledged.filter((n) => !known.has(n)).length;
      if (missing > 0) problems.push(`${user}: ${missing} are acknowledged, and not stored`);
      if (known.size !== stored.length) problems.push(`${user}: stored twice`);
      if (stored.some((n, i) => i > 0 && n < stored[i - 1]!)) problems.push(`${user}: out of order`);
      // A client that is moved has the answer to everything that was stored.
      if (isOrderly && end.startsWith('1012') && stored.length !== acknowledged.length)
        problems.push(`${user}: ${stored.length} stored, ${acknowledged.length} acknowledged, ${end}`);
    }
    return problems;
  }

  get notes(): string[] {
    return this.floods.map(
      ({ user, sent, acknowledged, end, codes }) =>
        `${user}: sent ${sent}, acknowledged ${acknowledged.length}, ${end}, ${codes.join()}`,
    );
  }

  private async repeat(work: (n: number) => Promise<unknown>): Promise<void> {
    for (let n = 0; !this.isOver; n++) await work(n).catch(() => sleep(100));
  }

  private target(n: number): Target {
    return this.targets[n % this.targets.length]!;
  }

  /** Waits, at most for a time, until something is true or all is over. */
  private async unlessOver(condition: () => boolean, limitMs: number): Promise<void> {
    await until(() => this.isOver || condition(), 'it may take long', limitMs).catch(() => {});
  }

  private async neverRead(n: number): Promise<void> {
    const client = await PacketClient.open(this.target(n).url);
    const hasClosed = () => client.closeCode !== undefined;
    client.send(PacketClient.joining(`deaf-${n}`), subscribing);
    await this.unlessOver(() => hasClosed() || client.of('430').length > 0, 5000);
    client.stall();
    await this.unlessOver(hasClosed, 8000);
    client.close();
  }

  private async breakOff(n: number): Promise<void> {
    const client = await PollingClient.open(this.balancerUrl);
    await client.post(PacketClient.joining(`half-${n}`));
    await client.poll();
    await client.post(subscribing);
    for (let polls = 0; polls < 4; polls++) {
      await client.breakOff(1 + (n % 60));
      await sleep(50);
    }
  }

  private async onlyOpen(n: number): Promise<void> {
    await fetch(`${this.target(n).url}/socket.io/?EIO=4&transport=polling`);
    await sleep(25);
  }

  private async flood(n: number): Promise<void> {
    const { url, hasEnded } = this.target(n);
    if (hasEnded) throw new Error('nobody is there');
    const user = `flood-${n}`;
    const client = new JsonClient(`${url.replace('http', 'ws')}/ws`, user);
    let end = 'open';
    client.webSocket.on('close', (code, text) => (end = `${code} ${text.toString()}`));
    await this.unlessOver(() => end !== 'open' || client.of('Status').length > 0, 5000);
    let sent = 0;
    for (let part = 0; part < 20 && client.webSocket.readyState === 1; part++) {
      for (let i = 0; i < 100; i++)
        client.send({
          type: 'Broadcast',
          id: ++sent,
          data: { topic: floodTopic, payload: `${user} ${sent}` },
        });
      await sleep(10);
    }
    await this.unlessOver(() => end !== 'open', 5000);
    client.close();
    const codes = [...new Set(client.of('Error').map(({ data }) => String(data['code'])))];
    this.floods.push({ user, sent, acknowledged: client.of('Ack').map(({ id }) => Number(id)), codes, end });
  }
}

/** Ids of transports that nobody has made. Resolves to the statuses of the answers; 0: there was none. */
export function pollWithForgedIds(url: string, random: Random): Promise<number[]> {
  const ids = Array.from({ length: 20 }, () =>
    Buffer.from(Array.from({ length: 15 }, () => random(256))).toString('base64url'),
  );
  const answers = ids.map((sid) =>
    fetch(`${url}/socket.io/?EIO=4&transport=polling&sid=${sid}`).then(
      ({ status }) => status,
      () => 0,
    ),
  );
  return Promise.all(answers);
}

/** The payloads of a topic, from its first message on. */
async function storedPayloads(url: string, topic: string): Promise<string[]> {
  const payloads: string[] = [];
  const headers = { authorization: `Bearer ${tokenOf('reader')}` };
  for (let before = ''; ;) {
    const response = await fetch(`${url}/api/history?topic=${topic}&limit=1000${before}`, { headers });
    const page = (await response.json()) as {
      messages?: { payload: string }[];
      next?: { before?: { epoch: string; sequence: number } };
    };
    if (!response.ok) throw new Error(`history: ${response.status} ${JSON.stringify(page)}`);
    payloads.unshift(...(page.messages ?? []).map(({ payload }) => payload));
    const next = page.next?.before;
    if (next === undefined) return payloads;
    before = `&before_epoch=${next.epoch}&before_sequence=${next.sequence}`;
  }
}
