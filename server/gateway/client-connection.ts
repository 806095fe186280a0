import type { Socket } from 'socket.io';
import { RefusalError } from '../../shared/errors.js';
import type { Identity } from '../protocol/identity.js';
import type { ServerEvent, Wire } from '../protocol/connection.js';
import type { EngineConnection } from '../fanout/engine-connection.js';
import { makeSlim } from './engine-internals/slim-connection.js';
import { Outbox, type SendBufferBudget } from '../fanout/outbox.js';
import type { Subscriber } from '../fanout/subscriber.js';

/** Acknowledgements awaited from one client; past it the oldest is given up. */
const awaitedLimit = 1000;

/** What a new connection is made of. */
export interface NewConnection {
  readonly socket: Socket;
  readonly wire: Wire;
  readonly identity: Identity;
  readonly sessionId: string;
  readonly address: string;
  readonly connectedAt: number;
}

/** Under this key an Engine.IO connection knows its client, so that all connections can share their listeners. */
const owner = Symbol('connection');

/** The client of an Engine.IO connection that has joined; for listeners, whose `this` it is. */
export function connectionOn(engine: EngineConnection): ClientConnection | undefined {
  return (engine as EngineConnection & { [owner]?: ClientConnection })[owner];
}

/** A client that has authenticated: a Socket.IO socket, its outbox, and who it is. */
export class ClientConnection implements Subscriber {
  readonly id: string;
  readonly wire: Wire;
  readonly address: string;
  readonly connectedAt: number;
  readonly outbox: Outbox;
  identity: Identity;
  sessionId: string;
  readonly socket: Socket;
  /** When it last published, by the monotonic clock; see {@link import('./read-throttle.js').ReadThrottle}. */
  lastPublishedAt = -Infinity;
  /** Packet ids (Socket.IO) or message ids (`/ws`) whose acknowledgement is awaited, oldest first; made when first needed. */
  private awaited: Map<number | string, () => void> | undefined;

  constructor(made: NewConnection, budget: SendBufferBudget) {
    this.socket = made.socket;
    this.id = made.socket.id;
    this.wire = made.wire;
    this.identity = made.identity;
    this.sessionId = made.sessionId;
    this.address = made.address;
    this.connectedAt = made.connectedAt;
    const engine = made.socket.conn as unknown as EngineConnection & { [owner]?: ClientConnection };
    this.outbox = new Outbox(engine, made.wire, budget);
    engine[owner] = this;
  }

  emit(event: ServerEvent, data: unknown): void {
    this.socket.emit(event, data);
  }

  emitWithAck(event: ServerEvent, data: { readonly id: string }, onAck: () => void): void {
    if (this.wire === 'json') {
      this.await(data.id, onAck);
      this.socket.emit(event, data);
      return;
    }
    // Socket.IO keeps the callback under the next packet id of the namespace, which is how an unanswered one can be let go.
    const packetId = (this.socket.nsp as unknown as { _ids: number })._ids;
    this.await(packetId, () => {});
    this.socket.emit(event, data, onAck);
  }

  expectAck(ackId: number, messageId: string, onAck: () => void): void {
    if (this.wire === 'json') {
      this.await(messageId, onAck);
      return;
    }
    this.await(ackId, () => {});
    this.socketAcks.set(ackId, onAck);
  }

  /** A `/ws` client acknowledged a message. False when nothing was awaited under this id. */
  acknowledged(messageId: string): boolean {
    const onAck = this.awaited?.get(messageId);
    if (onAck === undefined) return false;
    this.awaited!.delete(messageId);
    onAck();
    return true;
  }

  disconnect(reason: RefusalError): void {
    this.socket.emit('error', reason.toWire());
    this.socket.disconnect(true);
    // What it has not read would hold the transport open.
    if (reason.code === 'slow_consumer') this.socket.conn.close(true);
  }

  /** The transport is gone. */
  closed(): void {
    this.outbox.close();
    this.awaited = undefined;
  }

  /** Lets go of what an idle connection does not need, see {@link makeSlim}. */
  makeSlim(): void {
    makeSlim(this.socket);
  }

  /** Socket.IO's own table of awaited acknowledgements; a broadcast with acknowledgement writes to it in the same way. */
  private get socketAcks(): Map<number, () => void> {
    return (this.socket as unknown as { acks: Map<number, () => void> }).acks;
  }

  private await(id: number | string, onAck: () => void): void {
    this.awaited ??= new Map();
    this.awaited.set(id, onAck);
    if (this.awaited.size <= awaitedLimit) return;
    for (const oldest of this.awaited.keys()) {
      this.awaited.delete(oldest);
      if (typeof oldest === 'number') this.socketAcks.delete(oldest);
      break;
    }
  }
}
