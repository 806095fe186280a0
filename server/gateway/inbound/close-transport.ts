import type { RefusalError } from '../../../shared/errors.js';
import { connectionOn } from '../client-connection.js';
import { closeReasons, closeTimeoutMs, pollingCloseTimeoutMs } from '../close-codes.js';
import type { EngineConnection } from '../engine-internals/engine-connection.js';
import type { PacketReader } from '../engine-internals/packet-reader.js';
import { closeOnlyWith, CodedWebSocket } from '../engine-internals/web-socket-server.js';

/**
 * Closes the transport of a client over a limit: with an `error` event, an `Error` frame, or, before it has joined, a refusal
 * of the main namespace; then with close code 1008. A client that does not read them is cut off.
 */
export function closeForLimit(
  engine: EngineConnection | undefined,
  reader: PacketReader,
  error: RefusalError,
): void {
  const reason = closeReasons.overLimit(error.message);
  if (engine === undefined) {
    // An upgrade that is not complete.
    if (!(reader instanceof CodedWebSocket)) return;
    reader.closeOnlyWith(reason);
    reader.close();
    return;
  }
  closeOnlyWith(engine, reason);
  const connection = connectionOn(engine);
  if (connection !== undefined) connection.disconnect(error);
  else {
    engine.write(`4${JSON.stringify({ message: error.message, data: error.toWire() })}`);
    engine.close();
  }
  const limitMs = engine.transport.name === 'polling' ? pollingCloseTimeoutMs : closeTimeoutMs;
  setTimeout(() => engine.close(true), limitMs).unref();
}
