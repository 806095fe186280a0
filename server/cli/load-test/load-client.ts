import WebSocket from 'ws';
import { connectionProblemOf } from '../target/connection-problem.js';

/** The wire of the clients: JSON frames of `/ws`, or Socket.IO on a WebSocket. */
export type LoadTransport = 'ws' | 'socketio';

/** What a client hands on. */
export interface LoadHandlers {
  readonly onMessage: (message: LoadMessage) => void;
  /** The sequence of a publish that was stored; undefined: it was refused with this code. */
  readonly onAnswer: (sequence: number | undefined, code: string) => void;
  readonly onClosed: (reason: string) => void;
}

export interface LoadMessage {
  readonly epoch: string;
  readonly sequence: number;
  readonly payload: { readonly run?: string; readonly at?: number };
}

interface Position {
  readonly epoch: string;
  readonly sequence: number;
}

interface Answer {
  readonly ok?: boolean;
  readonly sequence?: number;
  readonly error?: { readonly code: string; readonly message: string };
  readonly topics?: readonly Position[];
  readonly rejected?: readonly { readonly error: { readonly code: string; readonly message: string } }[];
}

/** One client: connects, subscribes to one topic, publishes on it. */
export class LoadClient {
  private nextId = 1;
  private subscribed: { resolve: (position: Position) => void; reject: (error: Error) => void } | undefined;
  /** Whether a close is a loss. */
  private isOpen = false;

  private constructor(
    private readonly webSocket: WebSocket,
    private readonly wire: Wire,
    private readonly topic: string,
    private readonly handlers: LoadHandlers,
  ) {}

  /** Resolves when the client is subscribed, to the position after which it receives. */
  static async open(
    {
      url,
      token,
      topic,
      transport,
      timeoutMs,
    }: { url: string; token: string; topic: string; transport: LoadTransport; timeoutMs: number },
    handlers: LoadHandlers,
  ): Promise<{ readonly client: LoadClient; readonly position: Position }> {
    const wire = wires[transport];
    const address = `${url.replace(/^http/, 'ws')}${wire.path}`;
    const headers = { authorization: `Bearer ${token}` };
    const webSocket = new WebSocket(address, {
      headers,
      handshakeTimeout: timeoutMs,
      perMessageDeflate: false,
    });
    const client = new LoadClient(webSocket, wire, topic, handlers);
    const position = new Promise<Position>((resolve, reject) => {
      client.subscribed = { resolve, reject };
      const timer = setTimeout(() => reject(new Error('timeout')), timeoutMs);
      timer.unref();
    });
    webSocket.on('message', (data: Buffer) => {
      try {
        client.onText(data.toString(), token);
      } catch {
        client.subscribed?.reject(new Error('bad_answer'));
        webSocket.terminate();
      }
    });
    webSocket.on('error', (error) =>
      client.subscribed?.reject(new Error(connectionProblemOf(error, timeoutMs).reason)),
    );
    webSocket.on('close', (code) => {
      client.subscribed?.reject(new Error(`closed with ${code}`));
      if (client.isOpen) handlers.onClosed(`closed_${code}`);
    });
    try {
      const startsAt = await position;
      client.isOpen = true;
      return { client, position: startsAt };
    } catch (error) {
      client.close();
      throw error;
    } finally {
      client.subscribed = undefined;
    }
  }

  publish(payload: object): void {
    if (this.webSocket.readyState === WebSocket.OPEN)
      this.webSocket.send(this.wire.publish(this.nextId++, { topic: this.topic, payload }));
  }

  close(): void {
    this.isOpen = false;
    this.webSocket.close();
    setTimeout(() => this.webSocket.terminate(), 1000).unref();
  }

  private onText(text: string, token: string): void {
    const seen = this.wire.read(text);
    switch (seen.kind) {
      case 'greeting':
        this.webSocket.send(seen.reply(token));
        break;
      case 'connected':
        this.webSocket.send(this.wire.subscribe(this.topic));
        break;
      case 'message':
        this.handlers.onMessage(seen.message);
        break;
      case 'answer':
        this.onAnswer(seen.id, seen.answer);
        break;
      case 'other':
        break;
    }
  }

  private onAnswer(id: number, { sequence, error, topics, rejected = [] }: Answer): void {
    if (id !== 0) {
      this.handlers.onAnswer(error === undefined ? sequence : undefined, error?.code ?? 'ok');
      return;
    }
    const refused = error ?? rejected[0]?.error;
    const [position] = topics ?? [];
    if (refused !== undefined) this.subscribed?.reject(new Error(`${refused.code}: ${refused.message}`));
    else if (position !== undefined) this.subscribed?.resolve(position);
  }
}

type Seen =
  | { readonly kind: 'greeting'; readonly reply: (token: string) => string }
  | { readonly kind: 'connected' | 'other' }
  | { readonly kind: 'message'; readonly message: LoadMessage }
  /** Id 0 is that of the subscription. */
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer };

interface Wire {
  readonly path: string;
  read(text: string): Seen;
  subscribe(topic: string): string;
  publish(id: number, request: object): string;
}

const other = { kind: 'other' } as const;

const json: Wire = {
  path: '/ws',
  read(text) {
    const { type, data, id } = JSON.parse(text) as {
      type: string;
      data: Record<string, unknown>;
      id?: number;
    };
    if (type === 'Broadcast') return { kind: 'message', message: data as unknown as LoadMessage };
    if (type === 'Error')
      return id === undefined ? other : { kind: 'answer', id, answer: { error: data as never } };
    if (type === 'Ack') return id === undefined ? other : { kind: 'answer', id, answer: data as Answer };
    if (type !== 'Status') return other;
    if (id === undefined) return data['status'] === 'connected' ? { kind: 'connected' } : other;
    const { positions, rejected } = data['details'] as { positions: Position[]; rejected: never[] };
    return { kind: 'answer', id, answer: { topics: positions, rejected } };
  },
  subscribe: (topic) => JSON.stringify({ type: 'Subscribe', data: { topics: [topic] }, id: 0 }),
  publish: (id, data) => JSON.stringify({ type: 'Broadcast', data, id }),
};

/** Engine.IO 4 and Socket.IO 5, as far as these clients need them. */
const socketio: Wire = {
  path: '/socket.io/?EIO=4&transport=websocket',
  read(text) {
    if (text.startsWith('0')) return { kind: 'greeting', reply: (token) => `40${JSON.stringify({ token })}` };
    if (text === '2') return { kind: 'greeting', reply: () => '3' };
    if (text.startsWith('44')) {
      const { data } = JSON.parse(text.slice(2)) as { data?: { code: string; message: string } };
      return { kind: 'answer', id: 0, answer: { error: data ?? { code: 'refused', message: text } } };
    }
    const [, type, id, body = '[]'] = /^4([23])(\d*)(\[.*)$/s.exec(text) ?? [];
    if (type === '3') return { kind: 'answer', id: Number(id), answer: (JSON.parse(body) as [Answer])[0] };
    if (type !== '2') return other;
    const [event, data] = JSON.parse(body) as [string, Record<string, unknown>];
    if (event === 'message') return { kind: 'message', message: data as unknown as LoadMessage };
    return event === 'status' && data['status'] === 'connected' ? { kind: 'connected' } : other;
  },
  subscribe: (topic) => `420${JSON.stringify(['subscribe', { topics: [topic] }])}`,
  publish: (id, request) => `42${id}${JSON.stringify(['publish', request])}`,
};

const wires: Readonly<Record<LoadTransport, Wire>> = { ws: json, socketio };
