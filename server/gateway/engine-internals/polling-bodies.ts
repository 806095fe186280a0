import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BodyBudget } from '../../limits/body-budget.js';
import type { EngineConnection } from './engine-connection.js';

/** What engine.io calls with each POST of a long-polling transport. */
interface PollingTransport {
  readonly name: string;
  onDataRequest?(request: IncomingMessage, response: ServerResponse): unknown;
}

interface PollingBodiesDependencies {
  readonly bodies: Pick<BodyBudget, 'open'>;
  /** Who sends a request on a transport: a user or an address. */
  readonly callerOf: (engine: EngineConnection, request: IncomingMessage) => string;
  /** Answers a request with an error. */
  readonly refuse: (response: ServerResponse, error: unknown) => void;
}

/**
 * Counts the bodies of a long-polling transport while they arrive. Above the budget the request is refused, and the transport closes, as
 * after any POST that is broken off.
 */
export function countBodies(
  engine: EngineConnection,
  { bodies, callerOf, refuse }: PollingBodiesDependencies,
): void {
  const transport = engine.transport as PollingTransport;
  const read = transport.onDataRequest?.bind(transport);
  if (transport.name !== 'polling' || read === undefined) return;
  const count: NonNullable<PollingTransport['onDataRequest']> = (request, response) => {
    read(request, response);
    // engine.io has refused it.
    if (response.headersSent) return;
    const held = bodies.open(callerOf(engine, request));
    request.on('data', (chunk: Buffer | string) => {
      // Meanwhile engine.io has refused it as too large. The rest is dropped as it comes.
      if (response.headersSent) {
        held.discard();
        return;
      }
      try {
        held.add(Buffer.byteLength(chunk));
      } catch (error) {
        // engine.io's listeners, so that it neither keeps more nor answers too. The one for `close` stays, and closes the transport.
        request.removeAllListeners('data').removeAllListeners('end');
        request.resume();
        held.discard();
        response.once('finish', () => request.destroy());
        refuse(response, error);
      }
    });
    request.once('end', held.release);
    request.once('close', held.discard);
  };
  // Not in one: V8 would make it in the old generation, with all that it refers to.
  transport.onDataRequest = count;
}
