import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'socket.io';

interface PollingTransport {
  readonly name: string;
  /** Whether a poll waits. */
  readonly writable: boolean;
  send(packets: { readonly type: string }[]): void;
  onError(message: string): void;
}

type PollingClients = Readonly<Record<string, { readonly transport: PollingTransport }>>;

/** The query of a request of engine.io. */
export interface EngineQuery {
  readonly sid?: string;
  readonly transport?: string;
  readonly EIO?: string;
  /** Different for each request of a client, against caches. */
  readonly t?: string;
}

/** What decides about a request before engine.io does; it calls `next` to leave the request to engine.io. */
export type EngineMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: Error) => void,
) => void;

/** The transports of a replica, for requests that come from other replicas, or belong to them. */
export class PollingTransports {
  /** The mark of the last request. A transport is missing here if its client does not mark its requests, or all alike. */
  private readonly marks = new WeakMap<PollingTransport, string>();

  /** Transports whose client has polled since the handshake. */
  private readonly polled = new WeakSet<PollingTransport>();

  constructor(private readonly io: Server) {
    io.engine.on(
      'connection',
      ({ transport, request }: { transport: PollingTransport; request: IncomingMessage }) => {
        const mark = this.queryOf(request).t;
        if (transport.name === 'polling' && mark) this.marks.set(transport, mark);
      },
    );
  }

  /** Takes the place of engine.io's ids. */
  setIds(newId: () => string): void {
    this.io.engine.generateId = newId;
  }

  use(middleware: EngineMiddleware): void {
    this.io.engine.use(middleware);
  }

  has(sid: string): boolean {
    return Object.hasOwn(this.clients, sid);
  }

  /** The query of a request, as engine.io has read it. */
  queryOf(request: IncomingMessage): EngineQuery {
    return (request as IncomingMessage & { readonly _query?: EngineQuery })._query ?? {};
  }

  /** Serves a request as if it had come from a client. */
  readonly serve = (request: IncomingMessage, response: ServerResponse): void => {
    const engine = this.io.engine as unknown as {
      handleRequest(request: IncomingMessage, response: ServerResponse): void;
    };
    engine.handleRequest(request, response);
  };

  /** Whether a poll waits. */
  isPolled(sid: string): boolean {
    return this.transport(sid)?.writable === true;
  }

  /** Whether the client of a transport gives each of its requests another mark. */
  isMarked(sid: string): boolean {
    const transport = this.transport(sid);
    return transport !== undefined && this.marks.has(transport);
  }

  /** Takes the mark of a poll. True if the one before had the same: it is that poll again. */
  isRepeated(sid: string, mark: string | undefined): boolean {
    const transport = this.transport(sid);
    const before = transport && this.marks.get(transport);
    if (transport === undefined || before === undefined) return false;
    // The first poll, and the client has received the answer to its handshake: it marks all its requests alike.
    const isFirst = !this.polled.has(transport);
    this.polled.add(transport);
    if (mark && !(isFirst && mark === before)) this.marks.set(transport, mark);
    else this.marks.delete(transport);
    return !isFirst && mark === before;
  }

  /** Answers the poll that waits with a packet without meaning, so that the client sends the next one. */
  release(sid: string): void {
    const transport = this.transport(sid);
    if (transport?.writable === true) transport.send([{ type: 'noop' }]);
  }

  /** The client has gone before it had the answer to a poll: as engine.io treats one that goes while it waits. */
  fail(sid: string): void {
    this.transport(sid)?.onError('poll connection closed prematurely');
  }

  private transport(sid: string): PollingTransport | undefined {
    const transport = this.has(sid) ? this.clients[sid]?.transport : undefined;
    return transport?.name === 'polling' ? transport : undefined;
  }

  private get clients(): PollingClients {
    return (this.io.engine as unknown as { readonly clients: PollingClients }).clients;
  }
}
