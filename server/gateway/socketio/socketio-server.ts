import type { IncomingMessage, Server as HttpServer } from 'node:http';
import { Server } from 'socket.io';
import { allowedOrigins } from '../../config/origins.js';
import { engineIoPath } from '../paths.js';
import { refuseHandshake } from '../handshake/handshake-refusal.js';
import { ClientGoneError } from '../handshake/handshake-admission.js';
import { wrapSocketIoAckIds } from '../engine-internals/acknowledgements.js';
import { ExactDecoder, ExactEncoder } from '../engine-internals/exact-parser.js';
import { belongsToTransport, ignoreJsonp } from '../engine-internals/engine-server.js';
import { checkSocketIoOptions, type SocketIoOptions } from './socketio-options.js';
import { webSocketServerOf, type NewAdmission } from '../engine-internals/web-socket-server.js';

interface SocketIoSettings {
  readonly heartbeatIntervalMs: number;
  readonly clientTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Hard limit of one frame, in bytes. The transport closes the connection on a larger one. */
  readonly transportLimitBytes: number;
  /** Origins of browsers that may connect; `*` for any. */
  readonly allowedOrigins: readonly string[];
  /** Options of the program. */
  readonly options: SocketIoOptions;
}

/**
 * Makes the Socket.IO server, with limits that its defaults do not set. Clients can connect only after
 * {@link listenTo}.
 */
export function createSocketIo(settings: SocketIoSettings, newAdmission: NewAdmission): Server {
  checkSocketIoOptions(settings.options);
  const origins = allowedOrigins(settings.allowedOrigins);
  const io = new Server({
    path: engineIoPath,
    pingInterval: settings.heartbeatIntervalMs,
    pingTimeout: Math.max(1000, settings.clientTimeoutMs - settings.heartbeatIntervalMs),
    connectTimeout: settings.connectTimeoutMs,
    maxHttpBufferSize: settings.transportLimitBytes,
    perMessageDeflate: false,
    httpCompression: false,
    // One version of ws for both wires. The version bundled with engine.io does not limit the pongs that wait
    // for a client.
    wsEngine: webSocketServerOf(newAdmission),
    // Clients of Socket.IO 2 have another protocol, in which binary packets are not the same.
    allowEIO3: false,
    parser: { Encoder: ExactEncoder, Decoder: ExactDecoder },
    // See `handshake/unserved-upgrades.ts`.
    destroyUpgrade: false,
    cors: {
      origin: origins === '*' ? true : [...origins],
      credentials: true,
      // When to try again, for a page whose handshake is refused.
      exposedHeaders: ['Retry-After'],
    },
    ...settings.options,
  });
  wrapSocketIoAckIds(io.of('/'));
  // Those of an embedding program, as long as they live.
  io.on('new_namespace', wrapSocketIoAckIds);
  return io;
}

/**
 * Serves Socket.IO clients on an HTTP server.
 *
 * @param admit the steps before a transport is opened; see
 * {@link import('../connection-pipeline.js').ConnectionPipeline.admit}
 */
export function listenTo(
  http: HttpServer,
  io: Server,
  admit: (request: IncomingMessage) => void | Promise<void>,
): void {
  io.attach(http, {
    allowRequest: (request, decide) => {
      ignoreJsonp(request);
      const accept = () => decide(null, true);
      const refuse = (error: unknown) => {
        // Not by `decide`, which supports only status 403: here the answer is complete, and `decide` is never
        // called.
        if (!(error instanceof ClientGoneError)) refuseHandshake(request, error);
      };
      if (belongsToTransport(request, io)) {
        accept();
        return;
      }
      try {
        const waiting = admit(request);
        if (waiting === undefined) accept();
        else waiting.then(accept, refuse);
      } catch (error) {
        refuse(error);
      }
    },
  });
}
