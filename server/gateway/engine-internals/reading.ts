import type { Socket as TcpSocket } from 'node:net';
import { tcpSocketOf, type EngineConnection } from './engine-connection.js';

/**
 * The native handle of a TCP socket. `tcp.pause()` is not enough: Node continues to read into its own buffer.
 * If a version of Node lacks these methods, reading is never stopped.
 */
interface ReadHandle {
  /** False while Node itself does not read, because the socket is paused. */
  readonly reading?: boolean;
  readStop?(): unknown;
  readStart?(): unknown;
}

/**
 * Stops reading a WebSocket, so that the client's bytes wait in the kernel.
 *
 * @returns the TCP socket for {@link startReading}; undefined if nothing was stopped, because the socket is
 * paused already or is not a WebSocket
 */
export function stopReading(engine: EngineConnection): TcpSocket | undefined {
  const tcp = tcpSocketOf(engine);
  return tcp !== undefined && holdReading(tcp) ? tcp : undefined;
}

/** Stops reading a TCP socket. False if nothing was stopped. */
export function holdReading(tcp: TcpSocket): boolean {
  const handle = handleOf(tcp);
  if (handle?.reading !== true || handle.readStop === undefined) return false;
  handle.readStop();
  return true;
}

/** Undoes {@link stopReading} and {@link holdReading}. */
export function startReading(tcp: TcpSocket): void {
  const handle = handleOf(tcp);
  if (handle?.reading === true) handle.readStart?.();
}

function handleOf(tcp: TcpSocket | undefined): ReadHandle | null | undefined {
  return (tcp as (TcpSocket & { readonly _handle?: ReadHandle | null }) | undefined)?._handle;
}
