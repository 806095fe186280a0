import type { UnreadPacket } from './exact-parser.js';

/** Reads the packets of one transport, as its budget controls it. */
export interface PacketReader {
  /** Stops reading at once, also between two packets that arrived in one piece. */
  stop(): void;
  /** Undoes {@link stop}. */
  start(): void;
  /** Writes a few bytes, unless others wait: where the client has closed its side of the connection too, it is reset. */
  probe?(): void;
  /** Sets the largest frame or body that is read, in bytes. */
  limitFrames(bytes: number): void;
}

/**
 * Decides on what a transport has received, before it is decoded. It may stop the reader; what it is asked about
 * is passed on then nevertheless.
 */
export interface PacketAdmission {
  /**
   * A frame of a WebSocket is complete, or a packet of a long-polling body is next. False: it is not decoded now; the reader was stopped, and
   * asks again when it is started.
   *
   * @param bytes its size
   */
  mayDecode(bytes: number): boolean;
  /** A text or binary frame of a WebSocket. False: it is not passed on. */
  admitFrame(content: Buffer, isBinary: boolean): boolean;
  /** What takes the place of a text frame that was admitted, if it is refused without being made a text. */
  unreadPacket(content: Buffer): UnreadPacket | undefined;
  /** A fragment of a message of a WebSocket that is not complete. @param count its fragments so far */
  admitFragment(count: number): void;
  /**
   * The message of a WebSocket that is arriving is not complete.
   *
   * @param bytes its size so far, with the whole of its present frame
   * @param arrivedBytes what has come of it with the last chunk
   */
  admitUnfinished(bytes: number, arrivedBytes: number): void;
  /** A ping or pong frame of a WebSocket. */
  admitControlFrame(): void;
  /** A packet of a long-polling body. False: it is not passed on. */
  admitPacket(packet: string): boolean;
  /** The WebSocket has closed. */
  ended(): void;
}
