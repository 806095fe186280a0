import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer, type ServerOptions } from 'ws';
import { systemClock } from '../../primitives/clock.js';
import { TurnSlices } from '../../primitives/turn-slices.js';
import { selectProtocol } from '../../protocol/token-protocol.js';
import { closeReasons, closeTimeoutMs, type CloseReason } from '../close-codes.js';
import type { EngineConnection } from './engine-connection.js';
import { passUnread } from './exact-parser.js';
import type { PacketAdmission, PacketReader } from './packet-reader.js';
import { hasGone } from './accepted-connections.js';
import { holdReading, startReading } from './reading.js';

/** The code by which ws closes a connection after a frame above its `maxPayload` (RFC 6455, 7.4.1). */
const tooBig = 1009;

/** The code by which ws closes a connection whose frames come in too many pieces. */
const tooManyPieces = 1008;

const nothing = Buffer.alloc(0);

/** Takes the place of the method of a receiver that takes chunks. */
function ignoreChunk(_chunk: Buffer, _encoding: string, done: () => void): void {
  done();
}

/** Time of one turn of the event loop in which WebSockets report that they have closed, in milliseconds. */
const closingSliceMs = 8;

/** The receiver of a WebSocket: it takes chunks of bytes and emits messages. */
interface FrameParser {
  /** False makes it stop after the present frame; the next write continues. */
  _loop: boolean;
  _maxPayload: number;
  /** Chunks that an unfinished frame may consist of. */
  _maxBufferedChunks: number;
  /** Bytes that have arrived and are not taken yet. */
  _bufferedBytes: number;
  _buffers: Buffer[];
  /** Mask of the present frame: a piece of the chunk that it came in. */
  _mask: Buffer | undefined;
  readonly _payloadLength: number;
  /** Size of the message, with the whole of its present frame. */
  readonly _totalPayloadLength: number;
  /** Whether the present frame ends its message. */
  readonly _fin: boolean;
  /** Fragments of the unfinished message, and their number. */
  _fragments: Buffer[];
  readonly _numFragments: number;
  /** Takes the content of the present frame, or stops if it is not complete. */
  getData(done: (error?: Error) => void): void;
  /** Takes the present frame, which is complete. */
  dataMessage(done: (error?: Error) => void): void;
  readonly writableEnded: boolean;
  readonly destroyed: boolean;
  write(chunk: Buffer): void;
  _write(chunk: Buffer, encoding: string, done: (error?: Error) => void): void;
}

/** A receiver whose unfinished messages are admitted. All share these methods: connections are many. */
type AdmittedParser = FrameParser & { readonly webSocket: CodedWebSocket };

function ofReceiver(parser: FrameParser): Pick<FrameParser, 'getData' | 'dataMessage'> {
  return Object.getPrototypeOf(parser) as FrameParser;
}

function getData(this: AdmittedParser, done: (error?: Error) => void): void {
  if (this._bufferedBytes < this._payloadLength)
    this.webSocket.admission?.admitUnfinished(this._totalPayloadLength, this._buffers.at(-1)?.length ?? 0);
  else if (this.webSocket.admission?.mayDecode(this._payloadLength) === false) {
    this._loop = false;
    return;
  }
  ofReceiver(this).getData.call(this, done);
}

function dataMessage(this: AdmittedParser, done: (error?: Error) => void): void {
  ofReceiver(this).dataMessage.call(this, done);
  if (this._fin) return;
  const { admission } = this.webSocket;
  admission?.admitFragment(this._numFragments);
  admission?.admitUnfinished(this._totalPayloadLength, 0);
}

/**
 * Chunks of one frame with at most `bytes` bytes. Each chunk is an object, however small it is; a client behind a network with the smallest
 * segments that TCP has to expect (536 bytes) needs fewer.
 */
function chunkLimit(bytes: number): number {
  return 64 + Math.ceil(bytes / 512);
}

/** Makes what decides on the frames of a new WebSocket. */
export type NewAdmission = (reader: PacketReader, webSocket: WebSocket) => PacketAdmission;

/**
 * A WebSocket of a server, with three additions:
 *
 * - Every frame is admitted before it is passed on, and reading stops in the middle of a chunk if it has to: a chunk of 64 KiB can hold ten
 *   thousand frames.
 * - Where thousands close in one turn of the event loop, some report it in later turns, in order.
 * - Its close frame always has a code and a text: engine.io closes without a code, and ws without a text where a frame is too large.
 */
export class CodedWebSocket extends WebSocket implements PacketReader {
  /** They belong to the class of one server, so that no connection has to hold them. */
  static readonly limitBytes: number = 0;
  static readonly newAdmission: NewAdmission | undefined = undefined;
  /** When closes are reported. */
  static readonly closings: Pick<TurnSlices, 'run'> = { run: (report) => report() };
  /** Undefined if the server has no {@link NewAdmission}. */
  declare admission?: PacketAdmission | undefined;
  // These are set only where it is so: connections are many.
  declare isClosedAsTooLarge?: true;
  /** Takes the place of the code and text of every close. */
  declare closeReason?: CloseReason;
  declare isStopped?: boolean;
  declare isIgnored?: true;

  // ws emits every frame of a chunk in one turn; there is no event before that.
  override emit(event: string | symbol, first?: unknown, second?: unknown): boolean {
    if (event === 'message') {
      if (!this.admits(first as Buffer, second as boolean)) return true;
      const unread = second === true ? undefined : this.admission?.unreadPacket(first as Buffer);
      if (unread !== undefined) {
        passUnread(unread.event, () => super.emit('message', unread.standIn, false));
        return true;
      }
    } else if (event === 'ping' || event === 'pong') {
      if (this.isStopped === true) this.stop();
      this.admission?.admitControlFrame();
    } else if (event === 'open') {
      this.admission = this.server.newAdmission?.(this, this);
      this.admitUnfinished();
    } else if (event === 'close') {
      this.admission?.ended();
      this.server.closings.run(() => super.emit(event, first, second));
      return true;
    }
    return super.emit(event, first, second);
  }

  override close(code?: number, text?: string | Buffer): void {
    if (this.closeReason !== undefined) super.close(...this.closeReason);
    else if (code === undefined) super.close(...closeReasons.disconnected);
    else if (code === tooBig && text === undefined) {
      this.isClosedAsTooLarge = true;
      super.close(...closeReasons.tooLarge(this.parser?._maxPayload ?? this.server.limitBytes));
    } else if (code === tooManyPieces && text === undefined)
      super.close(...closeReasons.tooManyPieces(this.parser?._maxBufferedChunks ?? 0));
    else super.close(code, text);
    // What the client has sent before it answers the close frame is read, and ignored.
    this.isIgnored = true;
    if (this.isStopped === true && this.closeReason === undefined) this.start();
  }

  /** Sets how long the client may take to answer the close frame, in milliseconds. */
  allowToClose(limitMs: number): void {
    Object.assign(this, { _closeTimeout: limitMs });
  }

  stop(): void {
    this.isStopped = true;
    if (this.parser !== undefined) this.parser._loop = false;
    this.pause();
    // Otherwise Node reads one more chunk into its own buffer.
    if (this.tcp) holdReading(this.tcp);
  }

  start(): void {
    if (this.tcp !== undefined && hasGone(this.tcp)) {
      // Megabytes of what it has sent may be in the kernel, and to read them would keep it here until they are run.
      this.forgetUnfinished();
      this.terminate();
      return;
    }
    this.isStopped = false;
    const { parser } = this;
    // First the rest of the chunk. It may stop reading again.
    if (parser !== undefined && !parser.writableEnded && !parser.destroyed) parser.write(nothing);
    if (this.isStopped) return;
    this.resume();
    if (this.tcp) startReading(this.tcp);
  }

  probe(): void {
    if (this.readyState === WebSocket.OPEN && this.tcp?.writableLength === 0) this.ping();
  }

  /** From now on this reason is given, whoever closes it, and nothing more is read. What has arrived of a message that is not complete is forgotten. */
  closeOnlyWith(reason: CloseReason): void {
    this.closeReason = reason;
    this.stop();
    this.forgetUnfinished();
  }

  /**
   * Forgets what has arrived of a message that is not complete, and takes nothing more: when the connection closes, ws passes on what Node has read
   * meanwhile, and the receiver would take that for the content of the forgotten frame, and throw.
   */
  private forgetUnfinished(): void {
    const { parser } = this;
    if (parser === undefined) return;
    parser._buffers = [];
    parser._bufferedBytes = 0;
    parser._fragments = [];
    parser._mask = undefined;
    parser._write = ignoreChunk;
  }

  limitFrames(bytes: number): void {
    const { parser } = this;
    if (parser === undefined) return;
    parser._maxPayload = bytes;
    parser._maxBufferedChunks = chunkLimit(bytes);
  }

  /** ws has no event for a message that is not complete: its fragments, and a frame that is still arriving. */
  private admitUnfinished(): void {
    if (this.parser !== undefined && this.admission !== undefined)
      Object.assign(this.parser, { webSocket: this, getData, dataMessage });
  }

  private admits(content: Buffer, isBinary: boolean): boolean {
    // When a stopped socket closes, ws passes on what Node has read meanwhile.
    if (this.isStopped === true) {
      this.stop();
      return false;
    }
    const isAdmitted = this.admission?.admitFrame(content, isBinary) !== false;
    return isAdmitted && this.isIgnored !== true;
  }

  private get parser(): FrameParser | undefined {
    return (this as unknown as { readonly _receiver?: FrameParser | null })._receiver ?? undefined;
  }

  private get tcp(): Socket | undefined {
    return (this as unknown as { readonly _socket?: Socket | null })._socket ?? undefined;
  }

  private get server(): typeof CodedWebSocket {
    return this.constructor as typeof CodedWebSocket;
  }
}

/**
 * The WebSocket server of both wires; engine.io creates it through its `wsEngine` option. The connection of a
 * client that does not answer the close frame is terminated.
 */
export class CodedWebSocketServer extends WebSocketServer<typeof CodedWebSocket, typeof IncomingMessage> {
  constructor(
    options: ServerOptions<typeof CodedWebSocket> & { readonly maxPayload: number },
    newAdmission?: NewAdmission,
  ) {
    const LimitedWebSocket = class extends CodedWebSocket {
      static override readonly limitBytes = options.maxPayload;
      static override readonly newAdmission = newAdmission;
      static override readonly closings = new TurnSlices({ clock: systemClock }, { sliceMs: closingSliceMs });
    };
    const own = { closeTimeout: closeTimeoutMs, handleProtocols: selectProtocol };
    super({ ...own, ...options, WebSocket: LimitedWebSocket });
  }

  /** The answer to an upgrade leaves in one write with the first packet, which engine.io sends some promises later. */
  override handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    done: (webSocket: CodedWebSocket, request: IncomingMessage) => void,
  ): void {
    socket.cork();
    queueMicrotask(() => process.nextTick(() => socket.uncork()));
    super.handleUpgrade(request, socket, head, done);
  }
}

/** The class of WebSocket servers for engine.io, which creates them itself. */
export function webSocketServerOf(newAdmission: NewAdmission): typeof CodedWebSocketServer {
  return class extends CodedWebSocketServer {
    constructor(options: ServerOptions<typeof CodedWebSocket> & { readonly maxPayload: number }) {
      super(options, newAdmission);
    }
  };
}

/** Whether a connection was closed because the client sent a frame above the limit. */
export function isClosedAsTooLarge({ transport: { socket } }: EngineConnection): boolean {
  return socket instanceof CodedWebSocket && socket.isClosedAsTooLarge === true;
}

/** From now on the WebSocket of a connection closes with this reason, whoever closes it. It is not read any more. */
export function closeOnlyWith({ transport: { socket } }: EngineConnection, reason: CloseReason): void {
  if (socket instanceof CodedWebSocket) socket.closeOnlyWith(reason);
}
