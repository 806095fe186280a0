import type { Socket } from 'socket.io';
import { RefusalError } from '../../shared/errors.js';
import type { Identity } from '../protocol/identity.js';
import type { ServerEvent, Wire } from '../protocol/connection.js';
import { acksOf } from './engine-internals/acknowledgements.js';
import { engineOf, type EngineConnection } from './engine-internals/engine-connection.js';
import { keepAddress, makeSlim } from './engine-internals/slim-connection.js';
import { setSocketUser } from './socket-user.js';
import { SocketTransport } from './engine-internals/socket-transport.js';
import type { InboundBudget } from './inbound/inbound-budget.js';
import { inboundOf } from './inbound/inbound-of.js';
import { pauses } from './inbound/pauses.js';
import { Outbox, type SendBufferBudget } from '../fanout/outbox.js';
import { awaitedAcksMax, type Subscriber } from '../fanout/subscriber.js';

/** The parts of a new connection. */
interface NewConnection {
  readonly socket: Socket;
  readonly wire: Wire;
  readonly identity: Identity;
  readonly sessionId: string;
  readonly address: string;
  readonly connectedAt: number;
  /**
   * Releases the connection's slot in the limit of its user; undefined if connections of users are not
   * limited.
   */
  readonly release: (() => void) | undefined;
}

/**
 * The key under which an Engine.IO connection refers to its client, so that all connections can share their
 * listeners.
 */
const owner = Symbol('connection');

/**
 * The connected client of an Engine.IO connection; undefined if none has joined or it has left. For
 * listeners, whose `this` is the Engine.IO connection.
 */
export function connectionOn(engine: EngineConnection): ClientConnection | undefined {
  return ownedBy(engine)[owner];
}

function ownedBy(engine: EngineConnection): { [owner]?: ClientConnection; readonly readyState: string } {
  return engine;
}

/** The refusal of a second join on a transport that already has a connection. */
export function transportTaken(): RefusalError {
  return new RefusalError('conflict', 'this transport has a connection already');
}

/** An authenticated client: its Socket.IO socket, its outbox and its identity. */
export class ClientConnection implements Subscriber {
  readonly id: string;
  readonly wire: Wire;
  readonly address: string;
  readonly connectedAt: number;
  readonly outbox: Outbox;
  private currentIdentity: Identity;
  sessionId: string;
  isClosed = false;
  isDismissed = false;
  // It is set only where it is so: connections are many.
  declare isMoving?: true;
  readonly socket: Socket;
  /** What its transport may cost. */
  readonly inbound: InboundBudget | undefined;
  /**
   * Time of its last publish on the monotonic clock, in milliseconds; see
   * {@link import('./read-throttle.js').ReadThrottle}.
   */
  lastPublishedAt = -Infinity;
  /**
   * Packet ids (Socket.IO) or message ids (`/ws`) whose acknowledgement is awaited, oldest first. Created
   * when first needed.
   */
  private awaited: Map<number | string, () => void> | undefined;
  private readonly release: (() => void) | undefined;

  constructor(made: NewConnection, budget: SendBufferBudget) {
    this.socket = made.socket;
    this.id = made.socket.id;
    this.wire = made.wire;
    this.currentIdentity = made.identity;
    this.sessionId = made.sessionId;
    this.address = made.address;
    this.connectedAt = made.connectedAt;
    this.release = made.release;
    this.outbox = new Outbox(new SocketTransport(made.socket), made.wire, budget);
    const engine = engineOf(made.socket);
    this.inbound = inboundOf(engine);
    ownedBy(engine)[owner] = this;
  }

  get identity(): Identity {
    return this.currentIdentity;
  }

  /** The program sees a new identity as `socket.data.user`. */
  set identity(identity: Identity) {
    this.currentIdentity = identity;
    setSocketUser(this.socket, identity);
  }

  /** `websocket` or `polling`. */
  get transport(): string {
    return engineOf(this.socket).transport.name;
  }

  emit(event: ServerEvent, data: unknown): void {
    this.socket.emit(event, data);
  }

  expectAck(ackId: number, messageId: string, onAck: () => void): void {
    this.inbound?.askedForAck();
    if (this.wire === 'json') {
      this.await(messageId, onAck);
      return;
    }
    this.await(ackId, () => {});
    acksOf(this.socket).set(ackId, () => this.answered(ackId, onAck));
  }

  /**
   * Called when a `/ws` client acknowledges a message. False if no acknowledgement was awaited under this id.
   */
  acknowledged(messageId: string): boolean {
    const onAck = this.awaited?.get(messageId);
    this.inbound?.acknowledged(onAck !== undefined);
    if (onAck === undefined) return false;
    this.awaited!.delete(messageId);
    onAck();
    return true;
  }

  pauseReading(isPaused: boolean): void {
    if (isPaused) this.inbound?.pause(pauses.order);
    else this.inbound?.resume(pauses.order);
  }

  disconnect(reason: RefusalError): void {
    this.socket.emit('error', reason.toWire());
    this.socket.disconnect(true);
    // Data that the client has not read would keep the transport open.
    if (reason.code === 'slow_consumer') this.socket.conn.close(true);
  }

  /**
   * The client has left. Its transport may stay open: another namespace may use it, or the client may join
   * again. `isDismissed`: it was disconnected.
   */
  closed(isDismissed: boolean): void {
    this.isClosed = true;
    this.isDismissed = isDismissed;
    this.release?.();
    this.outbox.close();
    this.awaited = undefined;
    const engine = ownedBy(engineOf(this.socket));
    if (engine[owner] === this) delete engine[owner];
    if (engine.readyState === 'open') keepAddress(this.socket, this.address);
  }

  /** Frees what an idle connection does not need, see {@link makeSlim}. */
  makeSlim(): boolean {
    return this.socket.connected && makeSlim(this.socket);
  }

  /** From now on the packet id can be used again. */
  private answered(packetId: number, onAck: () => void): void {
    this.awaited?.delete(packetId);
    onAck();
  }

  private await(id: number | string, onAck: () => void): void {
    this.awaited ??= new Map();
    // An older wait under the same id ends. The new one goes to the end of the order.
    this.awaited.delete(id);
    this.awaited.set(id, onAck);
    if (this.awaited.size <= awaitedAcksMax) return;
    for (const oldest of this.awaited.keys()) {
      this.awaited.delete(oldest);
      if (typeof oldest === 'number') acksOf(this.socket).delete(oldest);
      break;
    }
  }
}
