import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { randomBytes } from 'node:crypto';
import { WebSocketServer } from 'ws';
import { RefusalError } from '../../../shared/errors.js';
import { bearerToken } from '../../protocol/bearer-token.js';
import type { Identity } from '../../protocol/identity.js';
import { refuseUpgrade } from '../handshake/handshake-refusal.js';
import {
  isOriginAllowed,
  type Authenticate,
  type Handshakes,
  type LetIn,
} from '../socketio/socketio-server.js';
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

/**
 * Accepts WebSockets at `/ws`. A request that is refused gets an HTTP status and a JSON body, and no socket. Returns a function that
 * stops accepting.
 */
export function acceptWsClients(
  http: HttpServer,
  dependencies: UpgradeDependencies,
  settings: UpgradeSettings,
): () => void {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: settings.transportLimitBytes,
    perMessageDeflate: false,
    // Bad UTF-8 is answered by an error frame; ws would close the connection.
    skipUTF8Validation: true,
    clientTracking: false,
  });
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Not every request line is an address; what is none is nobody's here.
    const target = request.url ?? '/';
    if (!URL.canParse(target, 'http://localhost')) return;
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
          dependencies.onConnection(new WsConnection(made, settings));
        });
      };
      const proceed = () => {
        if (waitMs === 0) upgrade();
        else setTimeout(upgrade, waitMs).unref();
      };
      const claimed = dependencies.letIn(identity, request, 'json');
      if (waitMs > 0 || claimed !== undefined) socket.on('error', () => {});
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
  return () => {
    http.off('upgrade', onUpgrade);
    server.close();
  };
}

function tokenOf(request: IncomingMessage, url: URL): string {
  const token = url.searchParams.get('token') ?? bearerToken(request.headers.authorization);
  if (token === undefined || token === '')
    throw new RefusalError('unauthorized', 'no token: give it as ?token= or as an Authorization header');
  return token;
}
