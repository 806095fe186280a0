import { setTimeout as sleep } from 'node:timers/promises';
import { io, type Socket } from 'socket.io-client';
import WebSocket from 'ws';
import type { Message } from '../../shared/message.js';
import type { Position } from '../../shared/position.js';

/** How a client of a deployment connects. */
export type DeployedWire = 'websocket' | 'polling' | 'json';

/**
 * A subscriber as an application has it: socket.io-client with its own reconnection, whose `auth` callback returns session and positions; or
 * a WebSocket at `/ws`, which comes back within a second, and subscribes from its position. What it sees is kept, to be checked.
 */
export class DeployedClient {
  /** Messages in the order of their arrival. */
  readonly messages: Message[] = [];
  /** When each notice of a drain came, when each end of a connection, and when each connection was ready. */
  readonly notices: { at: number; closesInMs: number }[] = [];
  readonly endsAt: number[] = [];
  readonly connectedAt: number[] = [];
  readonly endReasons: string[] = [];
  /** What `status` said of the recovery, connection by connection. */
  readonly recovered: (boolean | undefined)[] = [];
  private readonly positions = new Map<string, Position>();
  private sessionId: string | undefined;
  private socket: Socket | undefined;
  private webSocket: WebSocket | undefined;
  private isStopped = false;
  /** A connection may end before it is subscribed. */
  private isSubscribed = false;

  constructor(
    private readonly url: string,
    private readonly number: number,
    readonly wire: DeployedWire,
    private readonly topic: string,
    private readonly token: string,
    /** Whether it tells the service where it goes on. */
    readonly givesPositions = true,
  ) {
    if (wire === 'json') this.openJson();
    else this.openSocketIo(wire);
  }

  get isReady(): boolean {
    return this.isSubscribed;
  }

  stop(): void {
    this.isStopped = true;
    this.socket?.disconnect();
    this.webSocket?.terminate();
  }

  private openSocketIo(transport: 'websocket' | 'polling'): void {
    const socket = io(this.url, {
      forceNew: true,
      transports: [transport],
      query: { c: String(this.number) },
      auth: (give) =>
        give({
          token: this.token,
          ...(this.givesPositions && {
            session_id: this.sessionId,
            positions: Object.fromEntries(this.positions),
          }),
        }),
    });
    this.socket = socket;
    socket.on('message', (message: Message) => this.receive(message));
    socket.on('status', (status: Status) => {
      this.onStatus(status);
      if (status.status !== 'connected') return;
      if ((status.details.topics ?? []).some(({ topic }) => topic === this.topic)) this.subscribed();
      else this.subscribe(socket);
    });
    socket.on('disconnect', (reason) => {
      this.isSubscribed = false;
      this.endReasons.push(reason);
      this.endsAt.push(performance.now());
    });
  }

  /** While Redis is unreachable it is refused, and asks again. */
  private subscribe(socket: Socket): void {
    const { id } = socket;
    socket.emit('subscribe', { topics: [this.topic] }, ({ topics = [] }: { topics?: Beginning[] }) => {
      if (topics.length === 1) this.subscribed(topics);
      else
        void sleep(500).then(() => {
          if (socket.id === id) this.subscribe(socket);
        });
    });
  }

  private openJson(): void {
    const address = `${this.url.replace('http', 'ws')}/ws?token=${this.token}&c=${this.number}`;
    const webSocket = new WebSocket(address);
    this.webSocket = webSocket;
    let wasReady = false;
    const subscribe = () => {
      if (webSocket.readyState !== WebSocket.OPEN) return;
      const since = this.givesPositions ? { since: Object.fromEntries(this.positions) } : {};
      webSocket.send(JSON.stringify({ type: 'Subscribe', data: { topics: [this.topic], ...since } }));
    };
    webSocket.on('error', () => {});
    webSocket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as { type: string; data: Status & Message };
      if (frame.type === 'Broadcast') this.receive(frame.data);
      if (frame.type !== 'Status') return;
      this.onStatus(frame.data);
      const { status, details } = frame.data;
      if (status === 'subscribed' && details.positions?.length === 0) void sleep(500).then(subscribe);
      else if (status === 'subscribed') {
        this.recovered.push(details.positions?.[0]?.recovered);
        wasReady = true;
        this.subscribed(details.positions ?? []);
      }
      if (status === 'connected') subscribe();
    });
    webSocket.on('close', (code, text) => {
      this.isSubscribed = false;
      if (wasReady) {
        this.endReasons.push(`${code} ${text.toString()}`);
        this.endsAt.push(performance.now());
      }
      void sleep(wasReady ? 200 + Math.random() * 800 : 200).then(() => {
        if (!this.isStopped) this.openJson();
      });
    });
  }

  /** @param beginnings of a subscription that is new: it may be cut off before the first message */
  private subscribed(beginnings: readonly Beginning[] = []): void {
    this.isSubscribed = true;
    for (const { topic, epoch, sequence } of beginnings)
      if (!this.positions.has(topic)) this.positions.set(topic, { epoch, sequence });
    this.connectedAt.push(performance.now());
  }

  private onStatus({ status, details }: Status): void {
    if (status === 'draining')
      this.notices.push({ at: performance.now(), closesInMs: details.closes_in_ms! });
    if (status !== 'connected') return;
    this.sessionId = details.session_id;
    if (this.wire !== 'json') this.recovered.push(details.recovered);
  }

  private receive(message: Message): void {
    this.messages.push(message);
    const { topic, epoch, sequence } = message;
    this.positions.set(topic, { epoch, sequence });
  }
}

interface Status {
  readonly status: string;
  readonly details: {
    readonly session_id?: string;
    readonly recovered?: boolean;
    readonly closes_in_ms?: number;
    readonly positions?: readonly Beginning[];
    readonly topics?: readonly { readonly topic: string }[];
  };
}

/** Where a subscription begins. */
interface Beginning extends Position {
  readonly topic: string;
  readonly recovered?: boolean;
}

/** The greatest number of these moments within one second. */
export function mostInASecond(moments: readonly number[]): number {
  const sorted = [...moments].sort((a, b) => a - b);
  let most = 0;
  for (let from = 0, to = 0; to < sorted.length; to++) {
    while (sorted[to]! - sorted[from]! >= 1000) from++;
    most = Math.max(most, to - from + 1);
  }
  return most;
}

/**
 * What a client has seen that may not be: in each epoch a message twice, one in the wrong place, or, where it gives its positions, one missing
 * between two others. A client that does not give them begins anew with each connection, and must not be told that it has everything.
 */
export function problemsOf({ messages, recovered, givesPositions }: DeployedClient): string[] {
  const problems: string[] = [];
  let last: Message | undefined;
  for (const message of messages) {
    if (last !== undefined && message.epoch === last.epoch) {
      if (message.sequence === last.sequence) problems.push(`${message.sequence} came twice`);
      else if (message.sequence < last.sequence)
        problems.push(`${message.sequence} came after ${last.sequence}`);
      else if (givesPositions && message.sequence > last.sequence + 1)
        problems.push(`${last.sequence + 1} to ${message.sequence - 1} are missing`);
    }
    last = message;
  }
  if (!givesPositions && recovered.slice(1).includes(true)) problems.push('recovered, without a position');
  return problems;
}
