import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { closeReasons, type CloseReason } from '../close-codes.js';
import type { EngineConnection, WaitingPacket, WriteOptions } from '../engine-internals/engine-connection.js';
import { sendFrames } from '../engine-internals/frame-sender.js';
import type { ConnectionAttempt } from '../connection-attempt.js';
import { pingFrame, textFrames } from '../../fanout/frames.js';
import { PacketTranslator } from './translate.js';

export interface WsConnectionSettings {
  readonly heartbeatIntervalMs: number;
  readonly clientTimeoutMs: number;
}

/** What a new `/ws` connection is made of. */
export interface NewWsConnection {
  readonly id: string;
  readonly webSocket: WebSocket;
  /** It was authorized before the upgrade. */
  readonly attempt: ConnectionAttempt;
}

/** With this many frames from a client that has not joined yet, its WebSocket is not read any more until it has. */
const earlyLimit = 16;

/** The packet type by which Socket.IO refuses a connection to a namespace. */
const connectError = '4';

/**
 * A `/ws` client as an Engine.IO connection, so that Socket.IO's rooms, admin operations and limits see it like any other. It stands in
 * for engine.io's `Socket`: what Socket.IO writes to it is translated to JSON frames; what the client sends goes to `onFrame`.
 */
export class WsConnection extends EventEmitter implements EngineConnection {
  readonly protocol = 4;
  readonly id: string;
  readonly remoteAddress: string | undefined;
  readonly attempt: ConnectionAttempt;
  request: IncomingMessage;
  readyState: 'open' | 'closing' | 'closed' = 'open';
  writeBuffer: WaitingPacket[] = [];
  readonly transport: { readonly name: 'websocket'; writable: boolean; readonly socket: WebSocket };
  private receiver: ((content: Buffer, isBinary: boolean) => void) | undefined;
  /** Frames that came before there was a receiver: the few that a client sends in the turn of its handshake. */
  private early: [Buffer, boolean][] = [];
  private readonly webSocket: WebSocket;
  private readonly heartbeat: NodeJS.Timeout;
  private lastReceivedAt = performance.now();
  private sent: (() => void)[] = [];
  private pings = 0;
  /** The ping whose pong proves what has arrived; undefined: none is under way. */
  private provingPing: string | undefined;
  /** That ping is still in the queue. */
  private isPingQueued = false;
  private readonly translator = new PacketTranslator();

  constructor(made: NewWsConnection, settings: WsConnectionSettings) {
    super();
    this.id = made.id;
    this.attempt = made.attempt;
    this.request = made.attempt.request;
    this.webSocket = made.webSocket;
    this.transport = { name: 'websocket', writable: true, socket: made.webSocket };
    this.remoteAddress = made.attempt.request.socket.remoteAddress;
    this.heartbeat = setInterval(() => this.beat(settings.clientTimeoutMs), settings.heartbeatIntervalMs);
    this.heartbeat.unref();
    const { webSocket } = this;
    webSocket.on('message', (content: Buffer, isBinary: boolean) => {
      this.lastReceivedAt = performance.now();
      // Nothing is run any more for a client that has been disconnected.
      if (this.readyState !== 'open') return;
      if (this.receiver !== undefined) this.receiver(content, isBinary);
      else if (this.early.push([content, isBinary]) >= earlyLimit) webSocket.pause();
    });
    webSocket.on('pong', (data: Buffer) => {
      this.lastReceivedAt = performance.now();
      // Some clients send pongs that nobody asked for: a sign of life, and no more.
      if (this.provingPing === undefined || data.toString('latin1') !== this.provingPing) return;
      this.provingPing = undefined;
      this.emit('heartbeat');
    });
    webSocket.on('close', (code: number) =>
      this.closed(code === 1000 || code === 1001 ? 'client closed' : 'transport close'),
    );
    webSocket.on('error', () => this.closed('transport error'));
  }

  /** Sets what handles the client's frames. */
  receive(receiver: (content: Buffer, isBinary: boolean) => void): void {
    this.receiver = receiver;
    const { early } = this;
    this.early = [];
    if (this.webSocket.isPaused) this.webSocket.resume();
    for (const [content, isBinary] of early) if (this.readyState === 'open') receiver(content, isBinary);
  }

  /** Writes a Socket.IO packet; or, with an empty one, ready-made frames of this service. */
  write(data: string | Buffer, options?: WriteOptions, callback?: () => void): this {
    if (this.readyState !== 'open') return this;
    if (callback !== undefined) this.sent.push(callback);
    this.writeBuffer.push({ type: 'message', data, ...(options && { options }) });
    this.flush();
    if (typeof data === 'string' && data.startsWith(connectError)) this.end(closeReasons.refused);
    return this;
  }

  send(data: string | Buffer, options?: WriteOptions, callback?: () => void): this {
    return this.write(data, options, callback);
  }

  /** Writes one JSON frame behind what waits already. */
  writeJson(frame: object): void {
    this.write('', { wsPreEncodedFrame: [textFrames([JSON.stringify(frame)])] });
  }

  close(discard = false): this {
    if (!discard) this.end(closeReasons.disconnected);
    else if (this.readyState !== 'closed') {
      this.readyState = 'closing';
      this.webSocket.terminate();
    }
    return this;
  }

  /** Closes with a close frame, behind everything that has been written. */
  end([code, text]: CloseReason): void {
    if (this.readyState !== 'open') return;
    this.handOver();
    this.readyState = 'closing';
    this.early = [];
    this.webSocket.close(code, text);
  }

  private flush(): void {
    if (this.transport.writable && this.readyState === 'open') this.handOver();
  }

  /** Gives everything that waits to the WebSocket. */
  private handOver(): void {
    if (this.writeBuffer.length === 0) return;
    const packets = this.writeBuffer;
    const callbacks = this.sent;
    this.writeBuffer = [];
    this.sent = [];
    const frames = packets.flatMap((packet) => this.framesOf(packet));
    if (frames.length === 0) {
      for (const callback of callbacks) callback();
      return;
    }
    this.transport.writable = false;
    const bytes = frames.length === 1 ? frames[0]! : Buffer.concat(frames);
    sendFrames(this.webSocket, bytes, (error) => {
      this.transport.writable = true;
      if (error) return;
      for (const callback of callbacks) callback();
      this.emit('drain');
      this.flush();
    });
  }

  private framesOf({ data, options }: WaitingPacket): readonly Buffer[] {
    // Beside a packet, the ready-made frame is Socket.IO's: the packet as Socket.IO clients read it.
    if (data === '') return options?.wsPreEncodedFrame ?? [];
    if (options?.jsonFrame !== undefined) return [options.jsonFrame];
    const frame = this.translator.translate(data as string | Buffer);
    if (frame === undefined) return [];
    const bytes = textFrames([JSON.stringify(frame)]);
    if (options?.wsPreEncodedFrame !== undefined) options.jsonFrame = bytes;
    return [bytes];
  }

  private beat(clientTimeoutMs: number): void {
    if (performance.now() - this.lastReceivedAt > clientTimeoutMs) {
      this.closed('ping timeout');
      this.webSocket.terminate();
      return;
    }
    this.emit('ping');
    // A sign of life has not to wait for what a slow reader has not taken.
    if (!this.transport.writable) this.webSocket.ping();
    this.askForProof();
  }

  /** Sends a ping behind everything written before it: its pong, and no earlier one, says that all that has arrived. */
  private askForProof(): void {
    if (this.isPingQueued) return;
    this.isPingQueued = true;
    this.provingPing = String(++this.pings);
    this.write('', { wsPreEncodedFrame: [pingFrame(this.provingPing)] }, () => (this.isPingQueued = false));
  }

  private closed(reason: string): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    clearInterval(this.heartbeat);
    this.emit('close', reason);
    this.removeAllListeners();
    this.writeBuffer = [];
    this.sent = [];
  }
}
