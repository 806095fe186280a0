import type { IncomingMessage } from 'node:http';
import type { Socket as TcpSocket } from 'node:net';
import type { Socket } from 'socket.io';
import type { DeliveryBatch } from '../../fanout/delivery-batch.js';

/** Options of a write. engine.io passes them to the transport. */
export interface WriteOptions {
  compress?: boolean;
  /** Complete WebSocket frames in one buffer. A WebSocket transport writes them unchanged. */
  wsPreEncodedFrame?: Buffer[];
  /** The batches in those frames. Only this service uses them; engine.io ignores the field. */
  batches?: readonly DeliveryBatch[];
  /** The dropped messages that this packet, a notice, replaces. */
  dropped?: { readonly topic: string; readonly count: number };
  /**
   * The packet of a Socket.IO broadcast as a `/ws` frame: encoded once, because all receivers share the
   * options.
   */
  jsonFrame?: Buffer;
}

/** A packet in the write buffer of an Engine.IO connection. */
export interface WaitingPacket {
  readonly type?: string;
  readonly data?: unknown;
  readonly options?: WriteOptions;
}

/** The WebSocket of a transport. */
export interface TransportSocket {
  readonly readyState: number;
  /** The TCP socket of the WebSocket. */
  readonly _socket?: TcpSocket | null;
}

/** A transport of an Engine.IO connection. Only WebSocket transports have a `socket`. */
export interface EngineTransport {
  readonly name: string;
  readonly writable: boolean;
  readonly socket?: TransportSocket;
}

/**
 * What this service uses of an Engine.IO connection: engine.io's own `Socket`, or the one that replaces it
 * for `/ws`. `writeBuffer` and `transport.writable` show what a slow reader has not read.
 */
export interface EngineConnection {
  readonly id: string;
  readonly readyState: string;
  readonly transport: EngineTransport;
  request: IncomingMessage;
  writeBuffer: WaitingPacket[];
  write(data: string | Buffer, options?: WriteOptions, callback?: () => void): unknown;
  close(discard?: boolean): unknown;
  listenerCount(event: string): number;
  /** Gives the client its whole time again to show a sign of life. Only `/ws` connections have it. */
  postponeTimeout?(): void;
  /** Sends a ping now. Only `/ws` connections have it. */
  pingNow?(): void;
  /**
   * Sends a ping behind everything that waits; its answer is announced as `heartbeat`. False: one is under way. Only `/ws`
   * connections have it.
   */
  pingLast?(): boolean;
}

/** The Engine.IO connection of a socket. */
export function engineOf(socket: Pick<Socket, 'conn'>): EngineConnection {
  return socket.conn as unknown as EngineConnection;
}

/** The TCP socket of a WebSocket transport; undefined for any other transport, and once it is closed. */
export function tcpSocketOf(engine: EngineConnection): TcpSocket | undefined {
  return engine.transport.socket?._socket ?? undefined;
}
