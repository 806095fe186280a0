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
  private readonly marks = new WeakMap<PollingTransport, string | undefined>();

  constructor(private readonly io: Server) {}

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

  /** Remembers the mark of the last poll of a transport, for as long as the transport lives. Returns the one before. */
  mark(sid: string, mark: string | undefined): string | undefined {
    const transport = this.transport(sid);
    if (transport === undefined) return undefined;
    const before = this.marks.get(transport);
    this.marks.set(transport, mark);
    return before;
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
