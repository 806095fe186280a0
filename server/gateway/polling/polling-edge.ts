import type { IncomingMessage, ServerResponse } from 'node:http';
import { RefusalError } from '../../../shared/errors.js';
import { addressCaller } from '../../limits/address-limiter.js';
import type { BodyBudget } from '../../limits/body-budget.js';
import { refuseRequest } from '../handshake/handshake-refusal.js';
import { BodyParts } from './body-parts.js';
import { requestHeaders, withoutToken } from './forwarded-headers.js';
import type { PollingCounts } from './polling-counts.js';
import type { EdgeFrame, OwnerFrame } from './polling-frames.js';

interface PollingEdgeDependencies {
  readonly send: (replica: string, frame: EdgeFrame) => void;
  readonly bodies: Pick<BodyBudget, 'open'>;
  readonly addressOf: (request: IncomingMessage) => string;
  readonly counts: PollingCounts;
}

/** A request whose transport another replica holds. */
export interface ForwardableRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Id of the transport. */
  readonly sid: string;
  /** Called if the owner does not have the transport any more; nothing is answered yet. */
  readonly onGone: () => void;
}

interface Forwarded extends ForwardableRequest {
  readonly id: number;
  readonly owner: string;
  /** Of a POST. */
  body?: BodyParts;
  release?: () => void;
}

/** Its transport may be well. */
export function unreachableOwner(): RefusalError {
  const text = 'the replica that holds this transport cannot be reached: connect again';
  return new RefusalError('unavailable', text, { retryAfterMs: 1000 });
}

/** Requests of one method and one transport at the same time. With two, engine.io closes the transport, and shall see both. */
const overlapLimit = 2;

/**
 * Sends requests of long-polling to the replica that holds their transport, and its responses to the client. A body is read in parts, and each
 * part waits until the owner has taken the one before: a body that the owner refuses, for its size or because nobody has joined on the transport,
 * costs at most two of them.
 */
export class PollingEdge {
  private readonly forwarded = new Map<number, Forwarded>();
  private readonly byOwner = new Map<string, Set<Forwarded>>();
  /** Numbers of requests under way, by method and transport. */
  private readonly overlaps = new Map<string, number>();
  private nextId = 1;
  private isReleasing = false;

  constructor(private readonly dependencies: PollingEdgeDependencies) {}

  /** Whether answers of a replica are waited for. */
  isWaitingFor(replica: string): boolean {
    return this.byOwner.has(replica);
  }

  /** Whether a transport has as many requests of a method under way as make sense. */
  isOverlapping(sid: string, method: string | undefined): boolean {
    return (this.overlaps.get(`${method} ${sid}`) ?? 0) >= overlapLimit;
  }

  forward(forwardable: ForwardableRequest, owner: string): void {
    const { request, response, sid } = forwardable;
    if (response.destroyed) return;
    this.dependencies.counts.forwarded++;
    const forwarded: Forwarded = { ...forwardable, id: this.nextId++, owner };
    this.begun(forwarded);
    response.once('close', () => {
      if (this.end(forwarded)) this.dependencies.send(owner, { t: 'abort', id: forwarded.id, sid });
    });
    if (request.method === 'GET') {
      this.dependencies.send(owner, this.requestOf(forwarded, undefined, true));
      if (this.isReleasing) this.releasePoll(forwarded);
    } else this.forwardBody(forwarded);
  }

  receive(frame: OwnerFrame, from: string): void {
    const forwarded = this.forwarded.get(frame.id);
    if (forwarded === undefined || forwarded.owner !== from) return;
    const { response } = forwarded;
    if (frame.t === 'continue') forwarded.body?.taken();
    else if (frame.t === 'gone') {
      this.end(forwarded);
      forwarded.onGone();
    } else if (frame.t === 'broken') this.fail(forwarded);
    else {
      if (frame.t === 'response') this.writeHead(forwarded, frame.status, frame.headers);
      const data = Buffer.from(frame.data ?? '', 'base64');
      if (frame.last) {
        this.end(forwarded);
        response.end(data);
      } else response.write(data, () => this.dependencies.send(from, { t: 'read', id: frame.id }));
    }
  }

  /** A replica has ended, or is out of reach. */
  lost(replica: string): void {
    for (const forwarded of [...(this.byOwner.get(replica) ?? [])]) this.fail(forwarded);
  }

  /**
   * Lets the polls that wait, and those that come, be answered at once, so that their clients send the next one elsewhere: this replica is shutting
   * down, and an answer that arrives when the connection of its client has been cut would be lost.
   */
  release(): void {
    this.isReleasing = true;
    for (const forwarded of this.forwarded.values())
      if (forwarded.request.method === 'GET') this.releasePoll(forwarded);
  }

  private releasePoll({ id, sid, owner }: Forwarded): void {
    this.dependencies.send(owner, { t: 'release', id, sid });
  }

  private forwardBody(forwarded: Forwarded): void {
    const { request, response, owner, id } = forwarded;
    const { send, bodies, addressOf } = this.dependencies;
    const held = bodies.open(addressCaller(addressOf(request)));
    forwarded.release = held.discard;
    let isFirst = true;
    request.on('data', (chunk: Buffer) => {
      try {
        held.add(chunk.length);
      } catch (error) {
        this.drop(forwarded);
        refuseRequest(response, error);
      }
    });
    forwarded.body = new BodyParts(request, (part, last) => {
      const data = part.toString('base64');
      send(owner, isFirst ? this.requestOf(forwarded, data, last) : { t: 'body', id, data, last });
      isFirst = false;
      if (last) held.release();
    });
  }

  private requestOf({ request, id, sid }: Forwarded, data: string | undefined, last: boolean): EdgeFrame {
    return {
      t: 'request',
      id,
      sid,
      method: request.method === 'POST' ? 'POST' : 'GET',
      url: withoutToken(request.url ?? ''),
      headers: requestHeaders(request.rawHeaders),
      address: this.dependencies.addressOf(request),
      ...(data !== undefined && { data }),
      last,
    };
  }

  private writeHead(forwarded: Forwarded, status: number, raw: readonly string[]): void {
    const { request, response } = forwarded;
    for (let at = 0; at + 1 < raw.length; at += 2) {
      const name = raw[at]!;
      const before = raw
        .slice(0, at)
        .some((text, i) => i % 2 === 0 && text.toLowerCase() === name.toLowerCase());
      if (before) response.appendHeader(name, raw[at + 1]!);
      else response.setHeader(name, raw[at + 1]!);
    }
    if (!request.complete) this.drainBody(forwarded);
    response.writeHead(status);
  }

  /** The owner has answered before it had the whole body: it wants no more of it. */
  private drainBody({ request, response, body }: Forwarded): void {
    body?.stop();
    request.removeAllListeners('data');
    response.setHeader('Connection', 'close');
    response.once('finish', () => request.destroy());
  }

  private fail(forwarded: Forwarded): void {
    if (!this.end(forwarded)) return;
    this.dependencies.counts.failed++;
    const { response, request } = forwarded;
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (!request.complete) this.drainBody(forwarded);
    refuseRequest(response, unreachableOwner());
  }

  /** The request is refused here; the owner treats it as broken off. */
  private drop(forwarded: Forwarded): void {
    const { request, owner, id, sid } = forwarded;
    if (!this.end(forwarded)) return;
    if (!request.complete) this.drainBody(forwarded);
    this.dependencies.send(owner, { t: 'abort', id, sid });
  }

  private begun(forwarded: Forwarded): void {
    const { id, owner, sid, request } = forwarded;
    this.forwarded.set(id, forwarded);
    this.byOwner.set(owner, (this.byOwner.get(owner) ?? new Set()).add(forwarded));
    const key = `${request.method} ${sid}`;
    this.overlaps.set(key, (this.overlaps.get(key) ?? 0) + 1);
  }

  /** False if it has ended already. */
  private end(forwarded: Forwarded): boolean {
    const { id, owner, sid, request } = forwarded;
    if (!this.forwarded.delete(id)) return false;
    forwarded.release?.();
    const ofOwner = this.byOwner.get(owner)!;
    ofOwner.delete(forwarded);
    if (ofOwner.size === 0) this.byOwner.delete(owner);
    const key = `${request.method} ${sid}`;
    const rest = this.overlaps.get(key)! - 1;
    if (rest > 0) this.overlaps.set(key, rest);
    else this.overlaps.delete(key);
    return true;
  }
}
