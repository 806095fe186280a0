import type { IncomingMessage, Server as HttpServer } from 'node:http';

export interface UnservedUpgradesDependencies {
  readonly http: HttpServer;
  /** Whether the service itself answers an upgrade. */
  readonly isServed: (request: IncomingMessage) => boolean;
}

/**
 * Closes the sockets of upgrades that nobody has answered in time. It stands in for engine.io's option `destroyUpgrade`, which also runs a timer
 * for each client of `/ws`, keeps the process alive meanwhile, and leaves the socket open as long as the client keeps its side open.
 *
 * @param settings `limitMs`: an embedding program may serve other paths, and take its time
 */
export function closeUnservedUpgrades(
  { http, isServed }: UnservedUpgradesDependencies,
  { limitMs }: { readonly limitMs: number },
): void {
  // Before all others: one of them may answer at once.
  http.prependListener('upgrade', (request) => {
    if (isServed(request)) return;
    const { socket } = request;
    // Earlier requests of the same connection have been answered.
    const { bytesWritten } = socket;
    setTimeout(() => {
      if (socket.bytesWritten === bytesWritten) socket.destroy();
    }, limitMs).unref();
  });
}
