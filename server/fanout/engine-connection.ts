import type { Socket } from 'node:net';
import type { DeliveryBatch } from './delivery-batch.js';

/** Messages that were dropped from a queue. */
export interface DroppedMessages {
  readonly topic: string;
  readonly count: number;
}

/** Options of a write that engine.io passes through to the transport. */
export interface WriteOptions {
  compress?: boolean;
  /** Complete WebSocket frames in one buffer, written as they are by a WebSocket transport. */
  wsPreEncodedFrame?: Buffer[];
  /** What those frames hold: ours, ignored by engine.io. */
  batches?: readonly DeliveryBatch[];
  /** The packet stands in for messages of this topic that were dropped: ours, ignored by engine.io. */
  dropped?: DroppedMessages;
}

/** A packet waiting in an Engine.IO connection. */
export interface WaitingPacket {
  readonly type?: string;
  readonly data?: unknown;
  readonly options?: WriteOptions;
}

/** A transport of an Engine.IO connection. */
export interface EngineTransport {
  readonly name: string;
  readonly writable: boolean;
  /** The WebSocket of a WebSocket transport, and the TCP socket under it. */
  readonly socket?: { readonly readyState: number; readonly _socket?: Socket | null };
}

/**
 * What this service uses of an Engine.IO connection: engine.io's own `Socket`, or the one that stands in for it on `/ws`.
 * (`writeBuffer` and `transport.writable` are how engine.io lets one see what a slow reader has not taken.)
 */
export interface EngineConnection {
  readonly id: string;
  readonly readyState: string;
  readonly transport: EngineTransport;
  writeBuffer: WaitingPacket[];
  write(data: string | Buffer, options?: WriteOptions, callback?: () => void): unknown;
  close(discard?: boolean): unknown;
}
