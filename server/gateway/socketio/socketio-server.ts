import type { IncomingMessage, Server as HttpServer } from 'node:http';
import { Server, type Socket } from 'socket.io';
import { RefusalError, toWireError } from '../../../shared/errors.js';
import { bearerToken } from '../../protocol/bearer-token.js';
import type { Identity } from '../../protocol/identity.js';
import type { Log } from '../../logging/log.js';
import { refuseHandshake } from '../handshake/handshake-refusal.js';

export interface SocketIoSettings {
  readonly heartbeatIntervalMs: number;
  readonly clientTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Hard limit of one frame; above it the transport closes the connection. */
  readonly transportLimitBytes: number;
  /** Origins of browsers that may connect; `*` for any. */
  readonly allowedOrigins: readonly string[];
}

/** Decides on a handshake before anything is spent on it: returns the milliseconds to wait first, or throws a RefusalError. */
export type Admission = (request: IncomingMessage) => number;

/** What decides on handshakes. */
export interface Handshakes {
  readonly admit: Admission;
  /** Whether the client of a handshake that has waited is still there. */
  readonly isWaiting: (request: IncomingMessage) => boolean;
  /** Called with each refused connection and its request. */
  readonly onRefused: (error: unknown, request: IncomingMessage) => void;
}

/** Verifies a token. Throws `unauthorized`, `token_expired` or `token_revoked`. */
export type Authenticate = (token: string) => Identity;

/**
 * Lets an authenticated user in, or rejects; undefined: nobody is asked and nothing is counted. The function that it resolves to gives the
 * user's place back; it may be called more than once.
 */
export type LetIn = (
  identity: Identity,
  request: IncomingMessage,
  wire: 'socketio' | 'json',
) => Promise<() => void> | undefined;

/** Makes the Socket.IO server on an HTTP server, with limits that its defaults leave open. */
export function createSocketIo(
  http: HttpServer,
  { admit, isWaiting, onRefused }: Handshakes,
  settings: SocketIoSettings,
): Server {
  const anyOrigin = settings.allowedOrigins.includes('*');
  return new Server(http, {
    path: '/socket.io/',
    pingInterval: settings.heartbeatIntervalMs,
    pingTimeout: Math.max(1000, settings.clientTimeoutMs - settings.heartbeatIntervalMs),
    connectTimeout: settings.connectTimeoutMs,
    maxHttpBufferSize: settings.transportLimitBytes,
    perMessageDeflate: false,
    httpCompression: false,
    allowEIO3: false,
    // Upgrades that are not its own, at `/ws`, may wait for their turn.
    destroyUpgradeTimeout: 20_000,
    cors: { origin: anyOrigin ? true : [...settings.allowedOrigins], credentials: true },
    allowRequest: (request, decide) => {
      try {
        if (!isOriginAllowed(request, settings.allowedOrigins))
          throw new RefusalError('forbidden', 'this origin may not connect');
        // A request with a session id belongs to a connection that was admitted.
        const waitMs = /[?&]sid=/.test(request.url ?? '') ? 0 : admit(request);
        if (waitMs === 0) decide(null, true);
        else {
          setTimeout(() => {
            if (isWaiting(request)) decide(null, true);
          }, waitMs).unref();
        }
      } catch (error) {
        // Not by `decide`, which knows no status but 403: the answer is complete, and nothing waits for the decision.
        onRefused(error, request);
        refuseHandshake(request, error);
      }
    },
  });
}

/** Whether a browser's `Origin` is among those allowed. Requests without one do not come from a browser. */
export function isOriginAllowed(request: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin } = request.headers;
  return origin === undefined || allowed.includes('*') || allowed.includes(origin);
}

/** The token of a Socket.IO handshake: `auth.token`, else `Authorization: Bearer`, else `?token=`. */
export function tokenOf(socket: Socket): string {
  const { auth, headers, query } = socket.handshake;
  if (typeof auth['token'] === 'string') return auth['token'].replace(/^Bearer /i, '');
  const bearer = bearerToken(headers.authorization);
  if (bearer !== undefined) return bearer;
  if (typeof query['token'] === 'string') return query['token'];
  throw new RefusalError(
    'unauthorized',
    'no token: give it as auth.token, as an Authorization header or as ?token=',
  );
}

/** An error that Socket.IO sends as `connect_error`, with the wire's error object as `data`. */
export function connectError(error: unknown): Error & { data: unknown } {
  const wire = toWireError(error);
  return Object.assign(new Error(wire.message), { data: wire });
}

/** A Socket.IO acknowledgement callback. */
type Reply = (answer: object) => void;

/** Runs one command and resolves to its answer, never rejecting. */
export type RunCommand = (socket: Socket, name: string, request: unknown) => Promise<object> | object;

/**
 * Makes the one listener that all sockets share: every event is a command, answered through its acknowledgement, or by an `error` event
 * when it has none.
 */
export function commandListener(
  run: RunCommand,
  log: Log,
): (this: Socket, event: unknown, ...args: unknown[]) => void {
  const answer = (socket: Socket, reply: Reply | undefined, result: object) => {
    if (reply !== undefined) reply(result);
    else if ('error' in result) socket.emit('error', result.error);
  };
  return function (event, ...args) {
    const last = args[args.length - 1];
    const reply = typeof last === 'function' ? (last as Reply) : undefined;
    if (reply !== undefined) args.pop();
    const name = String(event);
    // The embedding application's own events are its own.
    if (this.listenerCount(name) > 0) return;
    try {
      const result = run(this, name, args[0]);
      if (result instanceof Promise) {
        result.then(
          (settled) => answer(this, reply, settled),
          (error: unknown) => log.error('Command failed', { connection_id: this.id, command: name, error }),
        );
      } else answer(this, reply, result);
    } catch (error) {
      log.error('Command failed', { connection_id: this.id, command: name, error });
      answer(this, reply, { ok: false, error: toWireError(error) });
    }
  };
}
