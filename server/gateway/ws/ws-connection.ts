import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { closeReasons, type CloseReason } from '../close-codes.js';
import type { EngineConnection, WaitingPacket, WriteOptions } from '../engine-internals/engine-connection.js';
import { sendFrames } from '../engine-internals/frame-sender.js';
import { pauses } from '../inbound/pauses.js';
import { inboundOf } from '../inbound/inbound-of.js';
import type { ConnectionAttempt } from '../connection-attempt.js';
import { pingFrame, textFrame, textFrames } from '../../fanout/frames.js';
import { jsonPieces } from '../../protocol/exact-json.js';
import { PacketTranslator } from './translate.js';

export interface WsConnectionSettings {
  readonly heartbeatIntervalMs: number;
  readonly clientTimeoutMs: number;
}

/** The parts of a new `/ws` connection. */
interface NewWsConnection {
  readonly id: string;
  readonly webSocket: WebSocket;
  /** The attempt that was authorized before the upgrade. */
  readonly attempt: ConnectionAttempt;
}

/** After this many frames, or bytes, from a client that has not joined yet, its WebSocket is not read until it joins. */
const earlyLimit = 16;
const earlyLimitBytes = 65_536;

/** The packet type by which Socket.IO refuses a connection to a namespace. */
const connectError = '4';

/**
 * A `/ws` client as an Engine.IO connection, so that Socket.IO's rooms, admin operations and limits apply to
 * it like to any other. It replaces engine.io's `Socket`: what Socket.IO writes to it is translated to JSON
 * frames, and what the client sends is passed to `onFrame`.
 */
export class WsConnection extends EventEmitter implements EngineConnection {
  readonly protocol = 4;
  readonly id: string;
  readonly remoteAddress: string | undefined;
  private attempt: ConnectionAttempt | undefined;
  request: IncomingMessage;
  readyState: 'open' | 'closing' | 'closed' = 'open';
  writeBuffer: WaitingPacket[] = [];
  readonly transport: { readonly name: 'websocket'; writable: boolean; readonly socket: WebSocket };
  private receiver: ((content: Buffer, isBinary: boolean) => void) | undefined;
  /** Frames that arrived before there was a receiver: the few that a client sends during its handshake. */
  private early: [Buffer, boolean][] = [];
  private earlyBytes = 0;
  private readonly webSocket: WebSocket;
  private readonly heartbeat: NodeJS.Timeout;
  private lastReceivedAt = performance.now();
  /** A sign of life is awaited: it will be announced as `alive`. */
  private isProbed = false;
  private sent: (() => void)[] = [];
  private pings = 0;
  /** The ping whose pong confirms delivery; undefined if none is in progress. */
  private provingPing: string | undefined;
  /** Whether that ping is still in the queue. */
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
      this.noteLife();
      // Commands of a disconnected client are not run.
      if (this.readyState !== 'open') return;
      if (this.receiver !== undefined) this.receiver(content, isBinary);
      else this.keepEarly(content, isBinary);
    });
    webSocket.on('pong', (data: Buffer) => {
      this.noteLife();
      // Some clients send pongs without a ping. They count only as a sign of life.
      if (this.provingPing === undefined || data.toString('latin1') !== this.provingPing) return;
      this.provingPing = undefined;
      this.emit('heartbeat');
    });
    webSocket.on('close', (code: number) =>
      this.closed(code === 1000 || code === 1001 ? 'client closed' : 'transport close'),
    );
    webSocket.on('error', () => this.closed('transport error'));
  }

  /** The attempt that was authorized before the upgrade. It is not kept: it is needed once, when the client joins. */
  takeAttempt(): ConnectionAttempt {
    const { attempt } = this;
    if (attempt === undefined) throw new Error('the client has joined already');
    this.attempt = undefined;
    return attempt;
  }

  /** Sets the receiver of the client's frames. */
  receive(receiver: (content: Buffer, isBinary: boolean) => void): void {
    this.receiver = receiver;
    const { early } = this;
    this.early = [];
    for (const [content, isBinary] of early) if (this.readyState === 'open') receiver(content, isBinary);
    inboundOf(this)?.resume(pauses.joining);
  }

  postponeTimeout(): void {
    this.lastReceivedAt = performance.now();
  }

  /** Sends a ping before everything that waits. The next frame of the client is announced as `alive`. */
  pingNow(): void {
    if (this.readyState !== 'open') return;
    this.isProbed = true;
    this.webSocket.ping();
  }

  pingLast(): boolean {
    if (this.readyState !== 'open' || this.provingPing !== undefined) return false;
    this.askForProof();
    return true;
  }

  private noteLife(): void {
    this.lastReceivedAt = performance.now();
    if (!this.isProbed) return;
    this.isProbed = false;
    this.emit('alive');
  }

  /** Writes a Socket.IO packet or, if `data` is empty, pre-encoded frames of this service. */
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

  /** Writes one JSON frame after all waiting ones. */
  writeJson(frame: object): void {
    this.write('', { wsPreEncodedFrame: [textFrame(jsonPieces(frame))] });
  }

  close(discard = false): this {
    if (!discard) this.end(closeReasons.disconnected);
    else if (this.readyState !== 'closed') {
      this.readyState = 'closing';
      this.webSocket.terminate();
    }
    return this;
  }

  /** Closes with a close frame, after everything written so far. */
  end([code, text]: CloseReason): void {
    if (this.readyState !== 'open') return;
    this.handOver();
    this.readyState = 'closing';
    this.early = [];
    this.webSocket.close(code, text);
  }

  private keepEarly(content: Buffer, isBinary: boolean): void {
    this.earlyBytes += content.length;
    if (this.early.push([content, isBinary]) >= earlyLimit || this.earlyBytes >= earlyLimitBytes)
      inboundOf(this)?.pause(pauses.joining);
  }

  private flush(): void {
    if (this.transport.writable && this.readyState === 'open') this.handOver();
  }

  /** Passes everything that waits to the WebSocket. */
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
    // With a packet, the pre-encoded frame is Socket.IO's: the packet in the form for Socket.IO clients.
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
    // A heartbeat must not wait for data that a slow reader has not read.
    if (!this.transport.writable) this.webSocket.ping();
    this.askForProof();
  }

  /**
   * Sends a ping after everything written before it. Only the pong of this ping confirms that all of it has
   * arrived.
   */
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
