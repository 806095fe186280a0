import type { ClientConnection } from './client-connection.js';
import { engineOf, type EngineConnection } from './engine-internals/engine-connection.js';
import { pingForAnswer, pingNow } from './engine-internals/heartbeats.js';

/** Time for a client to answer a ping, in milliseconds: more than a round trip to the other side of the earth. */
const answerLimitMs = 1000;

/**
 * Whether the client of a connection is there: it answers a ping in time. The connection of a client whose
 * network has changed stays open until its heartbeat fails.
 */
export function isAlive({ socket }: ClientConnection): Promise<boolean> {
  const engine = engineOf(socket);
  // `/ws` connections announce any sign of life as `alive`.
  return happens(engine, ['heartbeat', 'alive'], answerLimitMs, () => pingNow(engine));
}

/**
 * How long a client takes to answer a ping, in milliseconds. The ping is sent behind everything that waits for the client: a slow reader
 * takes long. Undefined: it has not answered within a second.
 */
export async function roundTripMs({ socket }: ClientConnection): Promise<number | undefined> {
  const engine = engineOf(socket);
  const endsAt = performance.now() + answerLimitMs;
  for (let isSent = false; ;) {
    const askedAt = performance.now();
    const isAnswered = await happens(engine, ['heartbeat'], endsAt - askedAt, () => {
      isSent = pingForAnswer(engine);
    });
    if (!isAnswered) return undefined;
    // The answer to a ping that was under way says nothing: another ping follows.
    if (isSent) return performance.now() - askedAt;
  }
}

/** Whether one of the events comes in time after what is done. */
function happens(
  engine: EngineConnection,
  events: readonly string[],
  limitMs: number,
  act: () => void,
): Promise<boolean> {
  if (engine.readyState !== 'open') return Promise.resolve(false);
  return new Promise((resolve) => {
    const emitter = engine as unknown as NodeJS.EventEmitter;
    const end = (answer: boolean) => () => {
      clearTimeout(timer);
      for (const event of events) emitter.off(event, yes);
      emitter.off('close', no);
      resolve(answer);
    };
    const yes = end(true);
    const no = end(false);
    const timer = setTimeout(no, limitMs);
    for (const event of events) emitter.on(event, yes);
    emitter.on('close', no);
    act();
  });
}
