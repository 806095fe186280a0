import { setTimeout as sleep } from 'node:timers/promises';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import WebSocket from 'ws';
import type { WireError } from '../../shared/errors.js';
import type { Message } from '../../shared/message.js';
import type { Position } from '../../shared/position.js';
import { tokenOf } from './replica.js';

/** Any answer of a command, with the fields that tests read. */
export interface TestAnswer {
  ok: boolean;
  error?: WireError;
  id?: string;
  epoch?: string;
  sequence?: number;
  [field: string]: unknown;
}

/** Sends one command, as any client does. */
export function emit(socket: Socket, command: string, request: object): Promise<TestAnswer> {
  return socket.timeout(30_000).emitWithAck(command, request) as Promise<TestAnswer>;
}

/** How a client of a test connects, beside its token. */
export interface ClientOptions extends Partial<ManagerOptions & SocketOptions> {
  readonly auth?: object;
  /**
   * Adds listeners before anything can arrive. What comes in one piece with the `status`, such as the messages that a
   * session has missed, is emitted before the caller has the client.
   */
  readonly listen?: (socket: Socket) => void;
}

/** An unmodified Socket.IO client. Resolves when it has its `status`. */
export async function connectClient(
  url: string,
  userId: string,
  options: ClientOptions = {},
): Promise<Socket & { status: Record<string, unknown> }> {
  const { auth, listen, ...rest } = options;
  const socket = io(url, {
    forceNew: true,
    reconnection: false,
    transports: ['websocket'],
    auth: { token: tokenOf(userId), ...auth },
    ...rest,
  });
  listen?.(socket);
  const status = await new Promise<{ details: Record<string, unknown> }>((resolve, reject) => {
    socket.once('status', resolve);
    socket.once('connect_error', reject);
  });
  return Object.assign(socket, { status: status.details });
}

/** The messages that one subscriber received on one topic, in order. */
export class Received {
  readonly messages: Message[] = [];
  readonly gaps: { epoch: string; sequence: number; reason: string }[] = [];
  last: Position | undefined;

  add(message: Message): void {
    this.messages.push(message);
    this.last = { epoch: message.epoch, sequence: message.sequence };
  }

  get sequences(): number[] {
    return this.messages.map((message) => message.sequence);
  }

  get ids(): string[] {
    return this.messages.map((message) => message.id);
  }
}

/** A Socket.IO subscriber that reconnects by itself, to any replica, and continues at its position. */
export class SteadySubscriber {
  readonly received = new Received();
  socket: Socket;
  closed = false;

  constructor(
    private readonly urls: readonly string[],
    private readonly userId: string,
    private readonly topic: string,
    private readonly transports: ('polling' | 'websocket')[] = ['websocket'],
  ) {
    this.socket = this.connect(0);
  }

  /** Resolves once subscribed. */
  async ready(): Promise<void> {
    await new Promise<void>((resolve) => this.onSubscribed.push(resolve));
  }

  private onSubscribed: (() => void)[] = [];

  private connect(n: number): Socket {
    const url = this.urls[n % this.urls.length]!;
    const socket = io(url, {
      forceNew: true,
      reconnection: false,
      transports: this.transports,
      auth: { token: tokenOf(this.userId) },
    });
    const again = () => {
      if (this.closed || this.socket !== socket) return;
      socket.removeAllListeners();
      socket.disconnect();
      setTimeout(() => {
        if (!this.closed) this.socket = this.connect(n + 1);
      }, 50);
    };
    const subscribe = () => {
      const since = this.received.last === undefined ? {} : { since: { [this.topic]: this.received.last } };
      socket
        .timeout(20_000)
        .emit('subscribe', { topics: [this.topic], ...since }, (error: Error | null, answer: TestAnswer) => {
          if (error !== null || !answer.ok || (answer['rejected'] as unknown[]).length > 0) {
            if (socket.connected) setTimeout(subscribe, 100);
            return;
          }
          for (const tell of this.onSubscribed.splice(0)) tell();
        });
    };
    socket.on('message', (message: Message) => this.received.add(message));
    socket.on('gap', (gap: { epoch: string; sequence: number; reason: string }) =>
      this.received.gaps.push(gap),
    );
    socket.on('connect', subscribe);
    socket.on('disconnect', again);
    socket.on('connect_error', again);
    return socket;
  }

  close(): void {
    this.closed = true;
    this.socket.disconnect();
  }
}

/** A client with plain JSON frames. */
export class JsonClient {
  readonly frames: { type: string; data: Record<string, unknown>; id?: unknown }[] = [];
  readonly received = new Received();
  readonly webSocket: WebSocket;

  constructor(url: string, userId: string, query = '', claims: object = {}) {
    this.webSocket = new WebSocket(`${url}?token=${tokenOf(userId, claims)}${query}`);
    this.webSocket.on('error', () => {});
    this.webSocket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as { type: string; data: Record<string, unknown> };
      if (frame.type === 'Broadcast') this.received.add(frame.data as unknown as Message);
      else this.frames.push(frame);
    });
  }

  send(frame: object): void {
    this.sendText(JSON.stringify(frame));
  }

  sendText(text: string): void {
    this.webSocket.send(text);
  }

  of(type: string): { type: string; data: Record<string, unknown>; id?: unknown }[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  close(): void {
    this.webSocket.close();
  }
}

/** A publisher that repeats what was refused or not answered, with the same key, until it is acknowledged. */
export class SteadyPublisher {
  readonly acknowledged: { n: number; answer: TestAnswer }[] = [];
  readonly refusals: string[] = [];
  private socket: Socket;
  closed = false;

  constructor(
    private readonly urls: readonly string[],
    private readonly userId: string,
    private readonly topic: string,
  ) {
    this.socket = this.connect(0);
  }

  private connect(n: number): Socket {
    const socket = io(this.urls[n % this.urls.length]!, {
      forceNew: true,
      reconnection: false,
      transports: ['websocket'],
      auth: { token: tokenOf(this.userId) },
    });
    const again = () => {
      if (this.closed || this.socket !== socket) return;
      socket.removeAllListeners();
      setTimeout(() => {
        if (!this.closed) this.socket = this.connect(n + 1);
      }, 50);
    };
    socket.on('disconnect', again);
    socket.on('connect_error', again);
    return socket;
  }

  /** Publishes numbers `from`..`to`, one after the other, so that their order is certain. */
  async publish(from: number, to: number): Promise<void> {
    for (let n = from; n <= to; n++) await this.one(n);
  }

  private async one(n: number): Promise<void> {
    const request = { topic: this.topic, payload: { from: this.userId, n }, key: `${this.userId}-${n}` };
    while (!this.closed) {
      const { socket } = this;
      const answer = await new Promise<TestAnswer | undefined>((resolve) => {
        if (!socket.connected) {
          setTimeout(() => resolve(undefined), 20);
          return;
        }
        const lost = () => resolve(undefined);
        socket.once('disconnect', lost);
        socket.emit('publish', request, (given: TestAnswer) => {
          socket.off('disconnect', lost);
          resolve(given);
        });
      });
      if (answer?.ok === true) {
        this.acknowledged.push({ n, answer });
        return;
      }
      if (answer !== undefined) this.refusals.push(answer.error!.code);
      await sleep(Math.min(200, answer?.error?.retry_after_ms ?? 20));
    }
  }

  close(): void {
    this.closed = true;
    this.socket.disconnect();
  }
}
