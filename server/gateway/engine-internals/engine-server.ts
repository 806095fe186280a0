import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'socket.io';
import type { WebSocket } from 'ws';
import { pollingCloseTimeoutMs, type CloseReason } from '../close-codes.js';
import type { EngineConnection } from './engine-connection.js';

/** A transport of engine.io, as this service closes it. */
interface EngineClient {
  readonly transport: { readonly name: string; readonly socket?: WebSocket };
  once(event: 'close', listener: () => void): unknown;
  close(): unknown;
}

/** The transports of engine.io, by session id. */
type EngineClients = Readonly<Record<string, EngineClient>>;

/**
 * Whether a request belongs to an existing transport. Uses the session id that engine.io itself has read from
 * the query, because one address can be written in many ways.
 */
export function belongsToTransport(request: IncomingMessage, io: Server): boolean {
  const { _query: query } = request as IncomingMessage & {
    readonly _query?: Readonly<Record<string, string>>;
  };
  return query?.['sid'] !== undefined && Object.hasOwn(clientsOf(io), query['sid']);
}

/**
 * Makes engine.io serve a JSONP request as plain long-polling. No client that the service supports sends one, and its
 * bodies are decoded at once.
 */
export function ignoreJsonp(request: IncomingMessage): void {
  const { _query: query } = request as IncomingMessage & { readonly _query?: Record<string, unknown> };
  if (query !== undefined) delete query['j'];
}

/** The response of a long-polling request, which engine.io keeps on the request. Undefined for an upgrade. */
export function responseOf(request: IncomingMessage): ServerResponse | undefined {
  return (request as IncomingMessage & { readonly res?: ServerResponse }).res;
}

/** Sends a close frame to every Socket.IO client on a WebSocket. */
export function closeWebSockets(io: Server, reason: CloseReason): void {
  for (const { transport } of Object.values(clientsOf(io)))
    if (transport.name === 'websocket') transport.socket?.close(...reason);
}

/** Sends a close packet to every client of long-polling with its next poll. Resolves when all have it. */
export async function closePollings(io: Server): Promise<void> {
  const pollings = Object.values(clientsOf(io)).filter(({ transport }) => transport.name === 'polling');
  await Promise.all(
    pollings.map(
      (client) =>
        new Promise<void>((resolve) => {
          client.once('close', resolve);
          client.close();
        }),
    ),
  );
}

/** An Engine.IO connection, and its transport while that waits for a poll to close. */
interface ClosingClient {
  readonly transport: { readonly name: string; shouldClose?: (() => void) | null };
  on(event: 'close', listener: () => void): unknown;
}

/**
 * Limits the time that a long-polling transport takes to close. engine.io keeps it, and its slot, for 30 seconds. It also keeps one whose
 * connection has ended, which nobody can poll any more: that closes at once.
 */
export function limitClosing(engine: ClosingClient): void {
  const { transport } = engine;
  if (transport.name !== 'polling') return;
  Object.assign(transport, { closeTimeout: pollingCloseTimeoutMs });
  engine.on('close', closeEnded);
}

/** A shared function: the closures of a transport are a part of its memory. */
function closeEnded(this: ClosingClient): void {
  const { transport } = this;
  const { shouldClose } = transport;
  if (typeof shouldClose !== 'function') return;
  transport.shouldClose = null;
  // With its own request and response, the connection and all that refers to it, a transport holds about 10 KiB.
  shouldClose();
}

/** The transports of engine.io that have not closed. */
export function transportsOf(io: Server): EngineConnection[] {
  return Object.values(clientsOf(io)) as unknown as EngineConnection[];
}

/** The session id in the query of a request of a transport. */
export function sessionIdOf(request: IncomingMessage): string | undefined {
  return (request as IncomingMessage & { readonly _query?: Readonly<Record<string, string>> })._query?.[
    'sid'
  ];
}

/** A transport that replaces one of engine.io's. */
export interface ForeignTransport extends EventEmitter {
  readonly id: string;
}

/** Passes a transport that is not engine.io's own to Socket.IO, and joins the main namespace on it. */
export function joinWith(io: Server, transport: ForeignTransport): void {
  // Socket.IO's `Server.onconnection` listens to this event.
  io.engine.emit('connection', transport);
  transport.emit('data', '0');
}

function clientsOf(io: Server): EngineClients {
  return (io.engine as unknown as { readonly clients: EngineClients }).clients;
}
