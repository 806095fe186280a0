import { Server as NetServer } from 'node:net';

/**
 * Accepts no new TCP connections, and keeps those that there are. For processes that share a port: Node gives new connections to the
 * others from then on.
 *
 * @returns undoes what would close everything with the last connection; to be called before the server is closed
 */
export function stopListening(http: NetServer): () => void {
  if (!http.listening) return () => {};
  // Node emits `close` when the last connection ends, and engine.io closes all transports then. There may be none for a moment between two
  // polls.
  const listeners = http.listeners('close') as (() => void)[];
  http.removeAllListeners('close');
  // Not `http.close()`, which also ends idle connections.
  NetServer.prototype.close.call(http);
  return () => {
    for (const listener of listeners) http.on('close', listener);
  };
}
