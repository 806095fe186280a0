import { createServer, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { duplexPair, type Duplex } from 'node:stream';
import type { PollingTransports } from '../engine-internals/polling-transports.js';
import { BodyParts } from './body-parts.js';
import { requestHeaders, responseHeaders } from './forwarded-headers.js';
import type { PollingCounts } from './polling-counts.js';
import type { EdgeFrame, OwnerFrame } from './polling-frames.js';
import { UnmarkedAnswers } from './unmarked-answers.js';

interface PollingOwnerDependencies {
  readonly transports: PollingTransports;
  readonly send: (replica: string, frame: OwnerFrame) => void;
  readonly counts: PollingCounts;
  /** On the monotonic clock, in milliseconds. */
  readonly now: () => number;
}

/** A request of another replica under way. */
interface ServedRequest {
  readonly sid: string;
  readonly request: ClientRequest;
  response?: BodyParts;
  /** Whether engine.io has answered. Its transport takes the answer for delivered. */
  isAnswered: () => boolean;
  /** It shall not wait for packets. */
  isReleased?: boolean;
}

type RequestFrame = Extract<EdgeFrame, { readonly t: 'request' }>;

/** The limit of the edge has been applied; addresses may have become longer. */
const maxHeaderBytes = 128 * 1024;

/**
 * Serves requests that other replicas have received. Each travels through an HTTP connection in memory to engine.io, so that everything that
 * applies to a request of a client applies to it: middleware, limits, budgets, what happens when it is broken off.
 */
export class PollingOwner {
  private readonly served = new Map<string, Map<number, ServedRequest>>();
  /** By transport, the poll of another replica that waits. */
  private readonly held = new Map<string, ServedRequest>();
  /** By connection in memory. */
  private readonly connections = new WeakMap<object, ServedRequest>();
  private readonly unmarked: UnmarkedAnswers;
  private readonly http;

  constructor(private readonly dependencies: PollingOwnerDependencies) {
    this.unmarked = new UnmarkedAnswers(dependencies);
    // It never listens.
    this.http = createServer(
      { requireHostHeader: false, maxHeaderSize: maxHeaderBytes, keepAliveTimeout: 0 },
      dependencies.transports.serve,
    );
  }

  /** Whether requests of a replica are under way. */
  isServing(replica: string): boolean {
    return this.served.has(replica);
  }

  /**
   * To be called with each poll of a transport of this replica, before engine.io sees it. A proxy may have sent it again, because the replica that
   * had received it has ended:
   *
   * - The earlier one still waits: it is answered without packets, and the later one waits in its place.
   * - The earlier one was answered, with the same mark of the client: what was in the answer is lost, and the transport ends.
   */
  admitPoll(sid: string, request: IncomingMessage, mark: string | undefined): void {
    const { transports } = this.dependencies;
    const isWaiting = transports.isPolled(sid);
    const isRepeated = transports.isRepeated(sid, mark);
    if (isWaiting) {
      if (this.held.has(sid)) transports.release(sid);
    } else if (isRepeated) transports.fail(sid);
    const served = this.connections.get(request.socket);
    if (served === undefined) this.held.delete(sid);
    else {
      this.held.set(sid, served);
      // When engine.io has it.
      if (served.isReleased) setImmediate(() => this.release(served));
    }
  }

  receive(frame: EdgeFrame, from: string): void {
    if (frame.t === 'request') {
      this.open(frame, from);
      return;
    }
    const served = this.served.get(from)?.get(frame.id);
    if (frame.t === 'abort') {
      if (served === undefined || served.isAnswered()) this.dependencies.transports.fail(frame.sid);
      if (served !== undefined) this.drop(served, frame.id, from);
      return;
    }
    if (served === undefined) return;
    if (frame.t === 'body') this.write(served.request, frame, from);
    else if (frame.t === 'read') served.response?.taken();
    else {
      served.isReleased = true;
      this.release(served);
    }
  }

  /** A replica has ended, or is out of reach: its clients have not received what they wait for. */
  lost(replica: string): void {
    for (const [id, served] of [...(this.served.get(replica) ?? [])]) {
      if (served.isAnswered()) this.dependencies.transports.fail(served.sid);
      this.drop(served, id, replica);
    }
    for (const sid of this.unmarked.lost(replica)) this.dependencies.transports.fail(sid);
  }

  private release(served: ServedRequest): void {
    if (this.held.get(served.sid) === served) this.dependencies.transports.release(served.sid);
  }

  private open(frame: RequestFrame, from: string): void {
    const { transports, send, counts } = this.dependencies;
    const { id, sid, method } = frame;
    if (!transports.has(sid)) {
      send(from, { t: 'gone', id });
      return;
    }
    counts.served++;
    let request: ClientRequest;
    let connection: object;
    try {
      [request, connection] = this.connect(frame);
    } catch {
      send(from, { t: 'broken', id });
      return;
    }
    const served: ServedRequest = { sid, request, isAnswered: () => false };
    this.connections.set(connection, served);
    const requests = this.served.get(from) ?? new Map<number, ServedRequest>();
    this.served.set(from, requests.set(id, served));
    request.on('response', (response) => {
      response.on('error', () => {});
      // Not in one: V8 would make it in the old generation, with all that it refers to.
      const isAnswered = () => response.complete;
      served.isAnswered = isAnswered;
      const { statusCode: status = 500, rawHeaders } = response;
      let head: { status: number; headers: string[] } | undefined = {
        status,
        headers: responseHeaders(rawHeaders),
      };
      served.response = new BodyParts(response, (part, last) => {
        const data = part.toString('base64');
        send(
          from,
          head === undefined ? { t: 'part', id, data, last } : { t: 'response', id, ...head, data, last },
        );
        head = undefined;
        if (!last) return;
        this.done(served, id, from);
        if (method === 'GET' && !transports.isMarked(sid)) this.unmarked.answered(sid, from);
      });
    });
    request.on('error', () => {});
    request.once('close', () => {
      // Of an answer that is complete, the edge has not asked for the last parts yet.
      if (served.isAnswered() || this.served.get(from)?.get(id) !== served) return;
      send(from, { t: 'broken', id });
      this.done(served, id, from);
    });
    this.write(request, frame, from);
  }

  /**
   * A connection in memory, from a client of Node to its server.
   *
   * @throws Error for what no client of HTTP can have sent
   */
  private connect({ method, url, headers, address }: RequestFrame): [ClientRequest, connection: object] {
    const [client, server] = duplexPair() as [Duplex, Duplex];
    // After a request was broken off.
    server.on('error', () => {});
    client.once('close', () => server.destroy());
    // At the end of a response its reader may not have it all yet.
    server.once('close', () => {
      if (!server.writableFinished) client.destroy();
    });
    // Before the request: its body is read, and refused, as early as it comes.
    this.http.emit('connection', Object.assign(server, { remoteAddress: address }));
    const options = {
      createConnection: () => client as never,
      method,
      path: url,
      headers: requestHeaders(headers),
    };
    try {
      return [httpRequest(options), server];
    } catch (error) {
      client.destroy();
      throw error;
    }
  }

  private write(
    request: ClientRequest,
    { id, data, last }: Extract<EdgeFrame, { readonly t: 'request' | 'body' }>,
    from: string,
  ): void {
    if (last) request.end(data === undefined ? undefined : Buffer.from(data, 'base64'));
    else
      request.write(Buffer.from(data ?? '', 'base64'), () =>
        this.dependencies.send(from, { t: 'continue', id }),
      );
  }

  /** engine.io treats it as a request that its client has broken off. */
  private drop(served: ServedRequest, id: number, from: string): void {
    this.done(served, id, from);
    served.request.destroy();
  }

  private done(served: ServedRequest, id: number, from: string): void {
    if (this.held.get(served.sid) === served) this.held.delete(served.sid);
    const requests = this.served.get(from);
    if (requests?.get(id) !== served) return;
    requests.delete(id);
    if (requests.size === 0) this.served.delete(from);
  }
}
