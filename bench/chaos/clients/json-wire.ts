import WebSocket from 'ws';
import { answerOf, frameOf } from './json-frames.js';
import type { Wire, WireAnswer, WireHandlers, WireOpening } from './wire.js';

const eventOf: Readonly<Record<string, string>> = {
  Broadcast: 'message',
  Gap: 'gap',
  Direct: 'direct',
  Presence: 'presence',
  Status: 'status',
  Error: 'error',
};

const pingEveryMs = 1000;
/** A connection that brings nothing for so long is given up. */
const silenceLimitMs = 6000;

interface Frame {
  readonly type: string;
  readonly data: Record<string, unknown>;
  readonly id?: number;
}

/** A client of `/ws`. */
export class JsonWire implements Wire {
  private readonly webSocket: WebSocket;
  private readonly unanswered = new Map<number, (answer: WireAnswer | undefined) => void>();
  private readonly pings: NodeJS.Timeout;
  private lastId = 0;
  private heardAt = performance.now();
  private isOver = false;

  constructor(
    { port, token, sessionId }: WireOpening,
    private readonly handlers: WireHandlers,
  ) {
    const session = sessionId === undefined ? '' : `?session_id=${encodeURIComponent(sessionId)}`;
    const webSocket = new WebSocket(`ws://127.0.0.1:${port}/ws${session}`, {
      headers: { authorization: `Bearer ${token}` },
      handshakeTimeout: 4000,
      perMessageDeflate: false,
    });
    this.webSocket = webSocket;
    webSocket.on('message', (data: Buffer) => this.onText(data.toString()));
    webSocket.on('close', (code) => this.end(`closed with ${code}`));
    webSocket.on('error', (error) => this.end(error.message));
    this.pings = setInterval(() => {
      if (performance.now() - this.heardAt > silenceLimitMs) this.abort();
      else if (webSocket.readyState === WebSocket.OPEN)
        webSocket.send(JSON.stringify({ type: 'Ping', data: {} }));
    }, pingEveryMs);
  }

  call(command: string, request: Record<string, unknown>): Promise<WireAnswer | undefined> {
    if (this.isOver || this.webSocket.readyState !== WebSocket.OPEN) return Promise.resolve(undefined);
    const id = ++this.lastId;
    this.webSocket.send(JSON.stringify({ type: frameOf[command], data: request, id }));
    return new Promise((resolve) => this.unanswered.set(id, resolve));
  }

  pauseReading(forMs: number): void {
    if (this.webSocket.readyState !== WebSocket.OPEN) return;
    this.webSocket.pause();
    this.heardAt = performance.now() + forMs;
    setTimeout(() => this.webSocket.resume(), forMs);
  }

  abort(): void {
    this.webSocket.terminate();
    this.end('aborted');
  }

  private onText(text: string): void {
    let frame: Frame;
    try {
      frame = JSON.parse(text) as Frame;
    } catch {
      this.handlers.onEvent('unreadable', { text: text.slice(0, 200) }, () => {});
      return;
    }
    this.onFrame(frame);
  }

  private onFrame({ type, data, id }: Frame): void {
    this.heardAt = Math.max(this.heardAt, performance.now());
    const answer = id === undefined ? undefined : this.unanswered.get(id);
    if (id !== undefined && answer !== undefined) {
      this.unanswered.delete(id);
      answer(answerOf(type, data));
      return;
    }
    const event = eventOf[type];
    if (event !== undefined) this.handlers.onEvent(event, data, () => this.acknowledge(String(data['id'])));
  }

  private acknowledge(messageId: string): void {
    if (this.webSocket.readyState === WebSocket.OPEN)
      this.webSocket.send(JSON.stringify({ type: 'Ack', data: { message_id: messageId } }));
  }

  private end(reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    clearInterval(this.pings);
    for (const resolve of this.unanswered.values()) resolve(undefined);
    this.unanswered.clear();
    this.handlers.onEnd(reason);
  }
}
