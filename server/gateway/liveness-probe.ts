import type { ClientConnection } from './client-connection.js';
import { engineOf } from './engine-internals/engine-connection.js';
import { pingNow } from './engine-internals/heartbeats.js';

/** Time for a client to answer a ping, in milliseconds: more than a round trip to the other side of the earth. */
const answerLimitMs = 1000;

/**
 * Whether the client of a connection is there: it answers a ping in time. The connection of a client whose
 * network has changed stays open until its heartbeat fails.
 */
export function isAlive({ socket }: ClientConnection): Promise<boolean> {
  const { conn } = socket;
  if (conn.readyState !== 'open') return Promise.resolve(false);
  return new Promise((resolve) => {
    // `/ws` connections announce any sign of life as `alive`.
    const emitter = conn as unknown as NodeJS.EventEmitter;
    const end = (answer: boolean) => () => {
      clearTimeout(timer);
      emitter.off('heartbeat', yes).off('alive', yes).off('close', no);
      resolve(answer);
    };
    const yes = end(true);
    const no = end(false);
    const timer = setTimeout(no, answerLimitMs);
    emitter.on('heartbeat', yes).on('alive', yes).on('close', no);
    pingNow(engineOf(socket));
  });
}
