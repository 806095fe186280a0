import cluster from 'node:cluster';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Server as SocketIoServer } from 'socket.io';
import type { Settings } from '../config/schema.js';
import type { Confirmations } from '../fanout/confirmations.js';
import { MovedClient } from '../gateway/drain/moved-client.js';
import { ReplicaDrain } from '../gateway/drain/replica-drain.js';
import { stopListening } from '../gateway/drain/stop-listening.js';
import type { EngineConnection } from '../gateway/engine-internals/engine-connection.js';
import { sessionIdOf, transportsOf } from '../gateway/engine-internals/engine-server.js';
import type { HandshakeAdmission } from '../gateway/handshake/handshake-admission.js';
import type { WsUpgrade } from '../gateway/ws/upgrade.js';
import type { Log } from '../logging/log.js';
import { systemClock } from '../primitives/clock.js';

interface DrainParts {
  readonly settings: Settings;
  readonly http: HttpServer;
  readonly io: SocketIoServer;
  readonly upgrades: WsUpgrade;
  readonly admission: HandshakeAdmission;
  readonly confirmations: Confirmations;
  readonly log: Log;
}

/** Share of `server.shutdown_timeout_ms` in which clients that were moved at the end of the window have to close. */
const tailShare = 0.3;

/** The drain of a replica, and what ends it. */
export interface Drain {
  readonly clients: ReplicaDrain;
  /** To be called before the HTTP server is closed. */
  beforeClose(): void;
}

/** Assembles the drain of the clients of both wires. */
export function assembleDrain({
  settings,
  http,
  io,
  upgrades,
  admission,
  confirmations,
  log,
}: DrainParts): Drain {
  const { drainDelaySecs, drainWindowSecs, shutdownTimeoutMs } = settings.server;
  /** Ids of transports that are closing. */
  const closing = new Set<string>();
  const clientOf = (engine: EngineConnection) =>
    new MovedClient(engine, {
      endWaitsOf: (connection) => confirmations.endWaitsOf(connection),
      onClosing: ({ id }) => closing.add(id),
      onFailure: (error) => log.error('Close of a connection failed', { error }),
    });
  let beforeClose = () => {};
  const clients = new ReplicaDrain(
    {
      clock: systemClock,
      random: Math.random,
      clients: () => [...transportsOf(io), ...upgrades.open].map(clientOf),
      onClient: (add) => {
        io.engine.on('connection', (engine: EngineConnection) => add(clientOf(engine)));
        // The next handshake of the client shall not come on the same TCP connection.
        io.engine.on('headers', (headers: Record<string, string>, request: IncomingMessage) => {
          if (closing.has(sessionIdOf(request) ?? '')) headers['Connection'] = 'close';
        });
      },
      refuseHandshakes: () => {
        admission.stop();
        // Other processes of this port take new clients. Without Redis there are none.
        if (cluster.isWorker && settings.redis.url !== undefined) beforeClose = stopListening(http);
      },
      log,
    },
    {
      delayMs: drainDelaySecs * 1000,
      windowMs: drainWindowSecs * 1000,
      tailMs: shutdownTimeoutMs * tailShare,
    },
  );
  return { clients, beforeClose: () => beforeClose() };
}
