import type { Position } from '../../shared/position.js';
import { RawConnection } from '../raw-connection.js';
import { Received } from './received.js';
import { delayAfterEnd, delayAfterError, delayAfterResponse } from './retry-delay.js';
import { topicName, topicNumber } from './topics.js';

/** How the clients of a side come back: with their session, or with a new subscription. */
export type Comeback = 'session' | 'subscribe';

/** What the clients of a load process have in common. */
export interface StormClients {
  readonly comeback: Comeback;
  /** Clients that were refused, or not answered, and try again. */
  retries: number;
  /** A client is subscribed to all its topics. */
  onBack(client: StormClient): void;
  /** A client has received a message. */
  onMessage(client: StormClient): void;
}

interface Status {
  readonly status: string;
  readonly details: {
    readonly session_id: string;
    readonly recovered?: boolean;
    /** Positions in `connected`, names in `subscribed`. */
    readonly topics?: readonly unknown[];
  };
}

const path = '/socket.io/?EIO=4&transport=websocket';
const digit = { zero: 0x30, two: 0x32, three: 0x33, four: 0x34 } as const;

/** A client that is cut off and comes back, as a stock client does that keeps its session id and its positions. */
export class StormClient extends RawConnection {
  isBack = false;
  /** What the service said of its last return. */
  recovered: boolean | undefined;
  /** What it has received, by the number of the topic. */
  readonly received: ReadonlyMap<number, Received>;
  private readonly positions: Record<string, Position> = {};
  private sessionId: string | undefined;
  private port = 0;
  private again: NodeJS.Timeout | undefined;
  /** Topics of its session that it has got back on this connection. */
  private restored = 0;

  /** @param last the number of the last message of each topic that is published before it subscribes */
  constructor(
    private readonly clients: StormClients,
    private readonly token: string,
    private readonly topics: readonly number[],
    last: number,
  ) {
    super();
    this.received = new Map(topics.map((topic) => [topic, new Received(last)]));
  }

  /** Connects, again and again until it is subscribed. */
  connect(port: number): void {
    this.port = port;
    const socket = this.open(port, path);
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.socket === socket) this.retry(delayAfterEnd());
    });
  }

  /** Its connection is gone, without a word. */
  cut(): void {
    clearTimeout(this.again);
    this.recovered = undefined;
    this.leave();
  }

  /** Whether it has received everything up to these numbers, by topic. */
  hasAll(numbers: readonly number[]): boolean {
    for (const [topic, { last }] of this.received) if (last < numbers[topic]!) return false;
    return true;
  }

  protected onOpen(): void {}

  protected onRefused(response: string): void {
    this.retry(delayAfterResponse(response));
  }

  protected onFrame(chunk: Buffer, start: number, end: number): void {
    const first = chunk[start];
    if (first === digit.two) this.send('3');
    else if (first === digit.zero) this.send(`40${JSON.stringify(this.auth())}`);
    else if (first === digit.four) this.onPacket(chunk[start + 1]!, chunk.toString('utf8', start + 2, end));
  }

  private auth(): object {
    const { token, sessionId, positions } = this;
    return sessionId === undefined ? { token } : { token, session_id: sessionId, positions };
  }

  private onPacket(kind: number, text: string): void {
    if (kind === digit.zero) {
      if (this.clients.comeback === 'subscribe') this.subscribe();
    } else if (kind === digit.three) this.onSubscribed(text);
    else if (kind === digit.four) this.retry(delayAfterError(JSON.parse(text)));
    else if (kind === digit.two) {
      const [event, data] = JSON.parse(text) as [string, unknown];
      if (event === 'message') this.onMessage(data as Position & { topic: string; payload: { n: number } });
      else if (event === 'status') this.onStatus(data as Status);
    }
  }

  private onStatus({ status, details }: Status): void {
    if (this.clients.comeback !== 'session') return;
    // `session`: the session goes on under another id. `subscribed`: topics that could not be restored at once.
    const isFirst = this.sessionId === undefined;
    if (status === 'connected' || status === 'session') this.sessionId = details.session_id;
    if (status === 'connected') {
      this.restored = 0;
      this.recovered = details.recovered;
    }
    if (isFirst) this.subscribe();
    else if (status === 'connected' || status === 'subscribed') {
      this.restored += details.topics?.length ?? 0;
      if (this.restored >= this.topics.length && !this.isBack) this.back();
    }
  }

  private subscribe(): void {
    this.send(`420["subscribe",${JSON.stringify({ topics: this.topics.map(topicName) })}]`);
  }

  private onSubscribed(text: string): void {
    const [answer] = JSON.parse(text.slice(text.indexOf('['))) as [
      { ok: boolean; topics?: ({ topic: string } & Position)[] },
    ];
    if (!answer.ok) throw new Error(`a subscription was refused: ${text}`);
    for (const { topic, epoch, sequence } of answer.topics ?? []) this.positions[topic] = { epoch, sequence };
    this.back();
  }

  private onMessage({
    topic,
    epoch,
    sequence,
    payload,
  }: Position & { topic: string; payload: { n: number } }) {
    if (epoch !== undefined) this.positions[topic] = { epoch, sequence };
    this.received.get(topicNumber(topic))!.add(payload.n);
    this.clients.onMessage(this);
  }

  private back(): void {
    this.isBack = true;
    this.clients.onBack(this);
  }

  private retry(delayMs: number): void {
    this.clients.retries++;
    this.leave();
    this.again = setTimeout(() => this.connect(this.port), delayMs);
  }

  private leave(): void {
    const { socket } = this;
    this.isBack = false;
    this.socket = undefined;
    socket?.destroy();
  }
}
