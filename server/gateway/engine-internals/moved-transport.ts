import type { CloseReason } from '../close-codes.js';
import type { EngineConnection } from './engine-connection.js';
import { CodedWebSocket } from './web-socket-server.js';

/** What the end of a transport in order depends on, of engine.io. */
interface BusyEngine extends EngineConnection {
  /** The client is changing from long-polling to a WebSocket. */
  readonly upgrading?: boolean;
  readonly transport: EngineConnection['transport'] & {
    /** A body of long-polling that is arriving, or that is being decoded. */
    readonly dataReq?: unknown;
  };
}

/**
 * Whether {@link closeInOrder} loses nothing: nothing of the client is half read, and what is written is sent. Long-polling closes behind what
 * waits for the next poll; while messages keep coming, something always does.
 */
export function canClose(engine: EngineConnection): boolean {
  const { upgrading, transport, writeBuffer } = engine as BusyEngine;
  const hasBody = transport.dataReq !== undefined && transport.dataReq !== null;
  const sendsRest = transport.name === 'polling' || writeBuffer.length === 0;
  return sendsRest && upgrading !== true && !hasBody;
}

/** Whether a transport has closed: a WebSocket with the answer of its client, even if engine.io takes it for closed before. */
export function hasClosed({ readyState, transport: { socket } }: EngineConnection): boolean {
  return socket instanceof CodedWebSocket ? socket.readyState === socket.CLOSED : readyState === 'closed';
}

/**
 * Closes a transport of engine.io behind everything written: a WebSocket with this code and text, long-polling by a packet with its next
 * answer; by one of its own: socket.io-client keeps a message that comes in one body with the close packet until it is connected again, when it has
 * named its position.
 */
export function closeInOrder(engine: EngineConnection, reason: CloseReason): void {
  const { socket } = engine.transport;
  if (socket instanceof CodedWebSocket) socket.close(...reason);
  else engine.close();
}

/** Sets how long the client of a WebSocket may take to answer the close frame, in milliseconds. */
export function allowToClose({ transport: { socket } }: EngineConnection, limitMs: number): void {
  if (socket instanceof CodedWebSocket) socket.allowToClose(limitMs);
}

/** Ends a transport at once, whatever its client does. */
export function cutOff(engine: EngineConnection): void {
  const { socket } = engine.transport;
  engine.close(true);
  if (socket instanceof CodedWebSocket) socket.terminate();
}
