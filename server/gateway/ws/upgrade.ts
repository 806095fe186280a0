import { randomBytes } from 'node:crypto';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { Registry } from '../../primitives/registry.js';
import type { CloseReason } from '../close-codes.js';
import { ConnectionAttempt } from '../connection-attempt.js';
import type { ConnectionPipeline } from '../connection-pipeline.js';
import { CodedWebSocketServer, type NewAdmission } from '../engine-internals/web-socket-server.js';
import { ClientGoneError } from '../handshake/handshake-admission.js';
import { refuseUpgrade } from '../handshake/handshake-refusal.js';
import { tokenOfUpgrade } from '../handshake/token.js';
import { endUpgradeGuard } from '../handshake/upgrade-guard.js';
import { engineIoPath, wsPath } from '../paths.js';
import { WsConnection, type WsConnectionSettings } from './ws-connection.js';

interface WsUpgradeDependencies {
  readonly pipeline: ConnectionPipeline;
  readonly addressOf: (request: IncomingMessage) => string;
  readonly newAdmission: NewAdmission;
  /** Called with each client that has passed the pipeline. */
  readonly onConnection: (connection: WsConnection) => void;
}

interface WsUpgradeSettings extends WsConnectionSettings {
  readonly transportLimitBytes: number;
}

/**
 * Accepts WebSockets at `/ws`. A refused request gets an HTTP status and a JSON body instead of a WebSocket.
 */
export class WsUpgrade {
  private readonly connections = new Registry<WsConnection>();
  private readonly server: CodedWebSocketServer;

  constructor(
    http: HttpServer,
    private readonly dependencies: WsUpgradeDependencies,
    private readonly settings: WsUpgradeSettings,
  ) {
    const options = {
      noServer: true,
      maxPayload: settings.transportLimitBytes,
      perMessageDeflate: false,
      // The service answers invalid UTF-8 with an error frame; ws would close the connection.
      skipUTF8Validation: true,
      clientTracking: false,
    };
    this.server = new CodedWebSocketServer(options, dependencies.newAdmission);
    this.server.on('headers', (_headers, request) => endUpgradeGuard(request));
    http.on('upgrade', this.onUpgrade);
  }

  /** Accepts no client from now on. Upgrades are still refused with an answer. */
  stop(): void {
    this.server.close();
  }

  /** Connections that have not closed. */
  get open(): Iterable<WsConnection> {
    return this.connections;
  }

  /** Closes every connection, including those that have not joined yet. */
  close(reason: CloseReason): void {
    for (const connection of [...this.connections]) connection.end(reason);
  }

  private readonly onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const url = wsUrlOf(request);
    if (url === undefined) return;
    const address = this.dependencies.addressOf(request);
    const attempt = new ConnectionAttempt('json', request, address, credentialsOf(request, url), socket);
    this.authorize(attempt).then(
      () => this.upgrade(attempt, socket, head),
      (error: unknown) => {
        if (!(error instanceof ClientGoneError)) refuseUpgrade(socket, error);
      },
    );
  };

  private async authorize(attempt: ConnectionAttempt): Promise<void> {
    const { pipeline } = this.dependencies;
    await pipeline.admitAuthenticated(attempt);
    await pipeline.authorize(attempt);
  }

  private upgrade(attempt: ConnectionAttempt, socket: Duplex, head: Buffer): void {
    // The client has gone, or has closed its side: it could send nothing any more.
    if (socket.destroyed || socket.readableEnded) {
      attempt.release();
      socket.destroy();
      return;
    }
    let isUpgraded = false;
    this.server.handleUpgrade(attempt.request, socket, head, (webSocket) => {
      isUpgraded = true;
      const id = randomBytes(15).toString('base64url');
      const connection = new WsConnection({ id, webSocket, attempt }, this.settings);
      this.connections.add(connection);
      connection.on('close', this.onClosed);
      this.dependencies.onConnection(connection);
    });
    // ws calls back at once, or has refused it.
    if (!isUpgraded) attempt.release();
  }

  // One listener shared by all connections; `this` is the connection.
  private readonly onClosed = ((upgrade: WsUpgrade) =>
    function (this: WsConnection): void {
      upgrade.connections.delete(this);
    })(this);
}

/** The URL of an upgrade request if it is for `/ws`. */
export function wsUrlOf(request: IncomingMessage): URL | undefined {
  const target = request.url ?? '/';
  // As a URL, `/socket.io/../ws` equals `/ws`, but engine.io compares the text of the path and answers it
  // itself.
  if (target.startsWith(engineIoPath)) return undefined;
  // Not every request target is a valid URL.
  if (!URL.canParse(target, 'http://localhost')) return undefined;
  const url = new URL(target, 'http://localhost');
  return url.pathname === wsPath || url.pathname === `${wsPath}/` ? url : undefined;
}

function credentialsOf(request: IncomingMessage, url: URL) {
  return {
    token: () => tokenOfUpgrade(request, url),
    sessionId: sessionIdIn(url),
    positions: undefined,
  };
}

/** The session to be resumed; undefined if there is none, also as a program writes it that has none yet. */
function sessionIdIn(url: URL): string | undefined {
  const id = url.searchParams.get('session_id');
  return id === null || ['', 'null', 'undefined'].includes(id) ? undefined : id;
}
