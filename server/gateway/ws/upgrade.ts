import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { randomBytes } from 'node:crypto';
import { RefusalError } from '../../../shared/errors.js';
import type { Identity } from '../../protocol/identity.js';
import type { CloseReason } from '../close-codes.js';
import { refuseUpgrade } from '../handshake/handshake-refusal.js';
import { endUpgradeGuard } from '../handshake/upgrade-guard.js';
import {
  engineIoPath,
  isOriginAllowed,
  type Authenticate,
  type Handshakes,
  type LetIn,
} from '../socketio/socketio-server.js';
import { CodedWebSocketServer } from '../engine-internals/web-socket-server.js';
import { WsConnection, type WsConnectionSettings } from './ws-connection.js';

export interface UpgradeDependencies extends Handshakes {
  readonly authenticate: Authenticate;
  readonly letIn: LetIn;
  /** Whether a client whose token was verified may still enter: it may have waited since. @throws RefusalError */
  readonly checkEntry: (identity: Identity) => void;
  readonly onConnection: (connection: WsConnection) => void;
}

export interface UpgradeSettings extends WsConnectionSettings {
  readonly transportLimitBytes: number;
  readonly allowedOrigins: readonly string[];
}

const path = '/ws';

/** The clients of `/ws`. */
export interface JsonClients {
  /** Accepts nobody from now on. */
  stop(): void;
  /** Closes every connection, also those that have not joined yet. */
  close(reason: CloseReason): void;
}

/** Accepts WebSockets at `/ws`. A request that is refused gets an HTTP status and a JSON body, and no socket. */
export function acceptWsClients(
  http: HttpServer,
  dependencies: UpgradeDependencies,
  settings: UpgradeSettings,
): JsonClients {
  const connections = new Set<WsConnection>();
  const forget = function (this: WsConnection): void {
    connections.delete(this);
  };
  const server = new CodedWebSocketServer({
    noServer: true,
    maxPayload: settings.transportLimitBytes,
    perMessageDeflate: false,
    // Bad UTF-8 is answered by an error frame; ws would close the connection.
    skipUTF8Validation: true,
    clientTracking: false,
  });
  server.on('headers', (_headers, request) => endUpgradeGuard(request));
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Not every request line is an address; what is none is nobody's here.
    const target = request.url ?? '/';
    if (!URL.canParse(target, 'http://localhost')) return;
    // `/socket.io/../ws` is the same address as `/ws`, but engine.io goes by how it is written and answers it.
    if (target.startsWith(engineIoPath)) return;
    const url = new URL(target, 'http://localhost');
    if (url.pathname !== path && url.pathname !== `${path}/`) return;
    const refuse = (error: unknown) => {
      dependencies.onRefused(error, request);
      refuseUpgrade(socket, error);
    };
    try {
      if (!isOriginAllowed(request, settings.allowedOrigins))
        throw new RefusalError('forbidden', 'this origin may not connect');
      const waitMs = dependencies.admit(request);
      const token = tokenOf(request, url);
      const identity = dependencies.authenticate(token);
      const resumeSession = url.searchParams.get('session_id') ?? undefined;
      const upgrade = () => {
        try {
          dependencies.checkEntry(identity);
        } catch (error) {
          refuse(error);
          return;
        }
        server.handleUpgrade(request, socket, head, (webSocket) => {
          const id = randomBytes(15).toString('base64url');
          const made = {
            id,
            webSocket,
            request,
            identity,
            ...(resumeSession !== undefined && { resumeSession }),
          };
          const connection = new WsConnection(made, settings);
          connections.add(connection);
          connection.on('close', forget);
          dependencies.onConnection(connection);
        });
      };
      const proceed = () => {
        if (waitMs === 0) upgrade();
        else setTimeout(upgrade, waitMs).unref();
      };
      const claimed = dependencies.letIn(identity, request, 'json');
      if (claimed === undefined) {
        proceed();
        return;
      }
      claimed.then((release) => {
        socket.once('close', release);
        if (socket.destroyed) release();
        else proceed();
      }, refuse);
    } catch (error) {
      refuse(error);
    }
  };
  http.on('upgrade', onUpgrade);
  return {
    stop: () => {
      http.off('upgrade', onUpgrade);
      server.close();
    },
    close: (reason) => {
      for (const connection of connections) connection.end(reason);
    },
  };
}

function tokenOf(request: IncomingMessage, url: URL): string {
  const token =
    url.searchParams.get('token') ?? /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined || token === '')
    throw new RefusalError('unauthorized', 'no token: give it as ?token= or as an Authorization header');
  return token;
}
