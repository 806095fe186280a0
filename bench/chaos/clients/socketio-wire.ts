import { io, type Socket } from 'socket.io-client';
import type { Wire, WireAnswer, WireHandlers, WireKind, WireOpening } from './wire.js';

const transports = {
  websocket: ['websocket'],
  polling: ['polling'],
  upgrade: ['polling', 'websocket'],
} as const satisfies Record<Exclude<WireKind, 'json' | 'http'>, readonly string[]>;

/** The WebSocket under a Socket.IO client; polling has none. */
interface UnderlyingWebSocket {
  pause(): void;
  resume(): void;
  terminate(): void;
}

const events = ['message', 'gap', 'direct', 'presence', 'status', 'error'];
const connectTimeoutMs = 4000;

/** An unmodified Socket.IO client that does not reconnect by itself. */
export class SocketIoWire implements Wire {
  private readonly socket: Socket;
  private readonly unanswered = new Set<(answer: WireAnswer | undefined) => void>();
  private isOver = false;

  constructor(
    kind: keyof typeof transports,
    { port, token, sessionId }: WireOpening,
    private readonly handlers: WireHandlers,
  ) {
    const socket = io(`http://127.0.0.1:${port}`, {
      forceNew: true,
      reconnection: false,
      timeout: connectTimeoutMs,
      transports: [...transports[kind]],
      auth: {
        token,
        ...(sessionId !== undefined && { session_id: sessionId }),
      },
    });
    this.socket = socket;
    for (const event of events)
      socket.on(event, (data: Record<string, unknown>, acknowledge?: (answer: object) => void) =>
        handlers.onEvent(event, data, () => acknowledge?.({ ok: true })),
      );
    socket.on('disconnect', (reason) => this.end(reason));
    socket.on('connect_error', (error) => this.end(error.message));
  }

  call(command: string, request: Record<string, unknown>): Promise<WireAnswer | undefined> {
    if (this.isOver) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.unanswered.add(resolve);
      this.socket.emit(command, request, (answer: WireAnswer) => {
        if (this.unanswered.delete(resolve)) resolve(answer);
      });
    });
  }

  pauseReading(forMs: number): void {
    const { webSocket } = this;
    if (webSocket === undefined) return;
    webSocket.pause();
    setTimeout(() => webSocket.resume(), forMs);
  }

  abort(): void {
    this.webSocket?.terminate();
    // Without the farewell packet of `disconnect()`: the service has to notice by itself.
    this.socket.io.engine?.close();
    this.end('aborted');
  }

  private get webSocket(): UnderlyingWebSocket | undefined {
    const { transport } = (this.socket.io.engine ?? {}) as { transport?: { ws?: UnderlyingWebSocket } };
    return transport?.ws;
  }

  private end(reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.socket.removeAllListeners();
    this.socket.io.engine?.close();
    for (const resolve of this.unanswered) resolve(undefined);
    this.unanswered.clear();
    this.handlers.onEnd(reason);
  }
}
