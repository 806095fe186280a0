import type { IncomingMessage } from 'node:http';

const readyAt = Symbol('when the request could be handled');

type Marked = IncomingMessage & { [readyAt]?: number };

/** From now on, on the clock of `performance.now()`, a request could be handled: those before it on its connection have been answered. */
export function markReady(request: IncomingMessage): void {
  (request as Marked)[readyAt] ??= performance.now();
}

/** Since when a request could be handled; it waits for its turn meanwhile. Undefined: it does not wait for turns. */
export function readySince(request: IncomingMessage): number | undefined {
  return (request as Marked)[readyAt];
}
