import type { Socket as TcpSocket } from 'node:net';
import { tcpSocketOf, type EngineConnection, type TransportSocket } from './engine-connection.js';

/**
 * The native side of a TCP socket. `tcp.pause()` does not do: Node goes on reading into its own buffer. A version of Node without these
 * methods reads everything as it comes.
 */
interface ReadHandle {
  /** False while Node itself does not read, because somebody has paused the socket. */
  readonly reading?: boolean;
  readStop?(): unknown;
  readStart?(): unknown;
}

/**
 * Stops reading a WebSocket: what its client sends waits in the kernel.
 *
 * @returns the TCP socket for {@link startReading}; undefined where nothing was stopped: somebody has paused it, or it is no WebSocket
 */
export function stopReading(engine: EngineConnection): TcpSocket | undefined {
  const tcp = tcpSocketOf(engine);
  const handle = handleOf(tcp);
  if (tcp === undefined || handle?.reading !== true || handle.readStop === undefined) return undefined;
  handle.readStop();
  return tcp;
}

/** Undoes {@link stopReading}. */
export function startReading(tcp: TcpSocket): void {
  const handle = handleOf(tcp);
  if (handle?.reading === true) handle.readStart?.();
}

/**
 * Pauses the WebSocket of a connection. Long-polling has nothing to pause: it brings what it has in requests, one at a time and of bounded size.
 *
 * @returns what is to be resumed
 */
export function pauseWebSocket(engine: EngineConnection): Pick<TransportSocket, 'resume'> | undefined {
  const { socket } = engine.transport;
  socket?.pause?.();
  return socket;
}

function handleOf(tcp: TcpSocket | undefined): ReadHandle | null | undefined {
  return (tcp as (TcpSocket & { readonly _handle?: ReadHandle | null }) | undefined)?._handle;
}
