import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { RefusalError } from '../../../shared/errors.js';
import { keyOf } from '../../limits/address-limiter.js';
import { shuttingDown } from '../../protocol/shutting-down.js';
import { responseOf } from '../engine-internals/engine-server.js';
import type { HandshakesOverShare } from './handshakes-over-share.js';
import type { HandshakeQueue, Turn } from './handshake-queue.js';
import { placesOf, type UnjoinedClients } from './unjoined-clients.js';

/** The address limits as admission uses them; see {@link AddressLimiter}. */
interface Addresses {
  admit(address: string): void;
  connected(address: string): void;
  joined(address: string): void;
  disconnected(address: string, hasJoined: boolean): void;
}

interface AdmissionDependencies {
  readonly addresses: Addresses;
  readonly addressOf: (request: IncomingMessage) => string;
  /** The address by which a client is limited; undefined: by none. */
  readonly limitedAddressOf: (request: IncomingMessage) => string | undefined;
  /** Undefined: handshakes do not wait. */
  readonly queue: Pick<HandshakeQueue, 'enter'> | undefined;
  readonly unjoined: UnjoinedClients;
  readonly overShare: Pick<HandshakesOverShare, 'hasTurn' | 'served'>;
}

interface AdmissionSettings {
  /** 0: no limit. */
  readonly maxConnections: number;
}

/** A transport as admission uses it: engine.io's socket, or the one that replaces it on `/ws`. */
interface AdmittedTransport {
  readonly request: IncomingMessage;
  on(event: 'close', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
  close(discard: boolean): unknown;
}

/** The client disconnected while its handshake waited: there is no one to answer. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/** A handshake without a transport yet. */
interface Waiting {
  /** The address by which it is counted. */
  readonly address: string | undefined;
  readonly turn: Turn | undefined;
  /** What the client takes of {@link UnjoinedClients}: 0 if it is known, or was not answered yet. */
  places: number;
  /** Stops watching for a disconnect of the client. */
  unwatch(): void;
}

/**
 * Admits or refuses handshakes before they cost anything, by capacity, address, rate and whether the replica
 * is stopping. A handshake holds a connection slot from its admission on, also while it waits. The slot
 * passes to its transport and is released when the transport closes.
 */
export class HandshakeAdmission {
  private draining = false;
  private slots = 0;
  private readonly waiting = new WeakMap<IncomingMessage, Waiting>();
  /** Addresses of transports that are counted by address. */
  private readonly addresses = new WeakMap<object, string>();

  constructor(
    private readonly dependencies: AdmissionDependencies,
    private readonly settings: AdmissionSettings,
  ) {}

  /** Slots of transports and of waiting handshakes. Transports are counted only if a limit needs it. */
  get slotsInUse(): number {
    return this.slots;
  }

  /** Refuses all handshakes from now on. */
  stop(): void {
    this.draining = true;
  }

  /**
   * Admits a handshake, or throws. When many clients connect at once, they are admitted at a steady rate, so that clients already connected
   * are not delayed: the promise resolves when the handshake may be answered. Undefined: at once.
   *
   * @param isKnown whether the client has authenticated already
   * @throws RefusalError `at_capacity`, `rate_limited` or `shutting_down`, with the time after which to try
   * again; rejects with the same, or with ClientGoneError
   */
  admit(request: IncomingMessage, isKnown = false): Promise<void> | undefined {
    if (this.draining) throw shuttingDown();
    if (isUpgradeGone(request)) throw new ClientGoneError();
    const { maxConnections } = this.settings;
    if (maxConnections > 0 && this.slots >= maxConnections) {
      throw new RefusalError('at_capacity', `the replica holds ${maxConnections} connections`, {
        retryAfterMs: 5000,
        limit: maxConnections,
      });
    }
    const { addresses, addressOf, limitedAddressOf, queue, unjoined, overShare } = this.dependencies;
    const address = limitedAddressOf(request);
    if (address !== undefined) addresses.admit(address);
    const hasRoom = () => isKnown || unjoined.hasRoom(address);
    if (queue === undefined && !hasRoom())
      throw new RefusalError('at_capacity', 'too many clients have not joined yet', { retryAfterMs: 5000 });
    const sender = isKnown ? undefined : address;
    const hasTurn = () => hasRoom() && (sender === undefined || overShare.hasTurn(sender));
    const onServed = () => {
      if (sender !== undefined) overShare.served(sender);
      if (!isKnown) this.answered(request);
    };
    const turn = queue?.enter(address ?? keyOf(addressOf(request)), { hasRoom: hasTurn, onServed });
    const waits = this.acquireSlot(request, address, turn);
    if (waits === undefined) onServed();
    return waits;
  }

  /** Whether a handshake holds a slot and has no transport yet. */
  isWaiting(request: IncomingMessage): boolean {
    return this.waiting.has(request);
  }

  /** Must be called with each new transport, in the turn in which it is created. */
  readonly transportOpened = (transport: AdmittedTransport): void => {
    const waiting = this.end(transport.request);
    if (waiting === undefined) return;
    if (waiting.address !== undefined) this.addresses.set(transport, waiting.address);
    transport.on('close', this.onClosed);
    if (waiting.places > 0)
      this.dependencies.unjoined.transportOpened(transport, waiting.address, waiting.places);
    else this.letGo(transport, waiting.address);
  };

  /** To be called when a client has joined a namespace on a transport. */
  readonly joined = (transport: AdmittedTransport): void => {
    if (this.dependencies.unjoined.removeTransport(transport))
      this.letGo(transport, this.addresses.get(transport));
  };

  /**
   * To be called with a handshake that ended without a transport. Its response need not close: one that is queued behind another response never
   * does if the client goes away.
   */
  readonly failed = (request: IncomingMessage): void => {
    const waiting = this.end(request);
    if (waiting === undefined) return;
    waiting.turn?.leave();
    if (waiting.places > 0) this.dependencies.unjoined.remove(waiting.address, waiting.places);
    this.releaseSlot(waiting.address, false);
  };

  private acquireSlot(
    request: IncomingMessage,
    address: string | undefined,
    turn: Turn | undefined,
  ): Promise<void> | undefined {
    this.slots++;
    if (address !== undefined) this.dependencies.addresses.connected(address);
    let notify: (() => void) | undefined;
    const unwatch = watchClient(request, () => {
      this.failed(request);
      notify?.();
    });
    this.waiting.set(request, { address, turn, unwatch, places: 0 });
    if (turn === undefined) return undefined;
    const gone = new Promise<void>((resolve) => (notify = resolve));
    return this.waitForTurn(request, Promise.race([turn.served, gone]));
  }

  /** A client that is not known yet is answered: it counts until it has joined, or gone. */
  private answered(request: IncomingMessage): void {
    const waiting = this.waiting.get(request);
    if (waiting === undefined) return;
    waiting.places = placesOf(request);
    this.dependencies.unjoined.add(waiting.address, waiting.places);
  }

  private async waitForTurn(request: IncomingMessage, servedOrGone: Promise<void>): Promise<void> {
    try {
      await servedOrGone;
    } catch (error) {
      this.failed(request);
      throw error;
    }
    const isHere = this.isWaiting(request) && !isUpgradeGone(request);
    if (isHere && !this.draining) return;
    this.failed(request);
    throw isHere ? shuttingDown() : new ClientGoneError();
  }

  private end(request: IncomingMessage): Waiting | undefined {
    const waiting = this.waiting.get(request);
    this.waiting.delete(request);
    waiting?.unwatch();
    return waiting;
  }

  // One listener shared by all transports; `this` is the transport.
  private readonly onClosed = ((admission: HandshakeAdmission) =>
    function (this: AdmittedTransport): void {
      const isUnjoined = admission.dependencies.unjoined.removeTransport(this);
      admission.releaseSlot(admission.addresses.get(this), !isUnjoined);
    })(this);

  /** The client of a transport is known. Without a limit that needs a count, an idle connection stays small without a listener. */
  private letGo(transport: AdmittedTransport, address: string | undefined): void {
    if (address !== undefined) this.dependencies.addresses.joined(address);
    if (this.settings.maxConnections > 0 || address !== undefined) return;
    transport.off('close', this.onClosed);
    this.slots--;
  }

  private releaseSlot(address: string | undefined, hasJoined: boolean): void {
    this.slots--;
    if (address !== undefined) this.dependencies.addresses.disconnected(address, hasJoined);
  }
}

/**
 * Calls back when the client of a handshake has gone. A handshake of long-polling ends with its response, or with its request where the
 * response is queued behind another one. A handshake of a WebSocket ends with its connection, also if only the client's side is closed:
 * it could send nothing any more.
 */
function watchClient(request: IncomingMessage, onGone: () => void): () => void {
  const { socket } = request;
  const response = responseOf(request);
  const onAborted = () => {
    if (socket.destroyed) onGone();
  };
  const onHalfClosed = () => {
    socket.destroy();
    onGone();
  };
  const watched: readonly (readonly [EventEmitter, string, () => void])[] =
    response === undefined
      ? [
          [socket, 'close', onGone],
          [socket, 'end', onHalfClosed],
        ]
      : [
          [response, 'close', onGone],
          [request, 'close', onAborted],
        ];
  for (const [emitter, event, listener] of watched) emitter.once(event, listener);
  return () => {
    for (const [emitter, event, listener] of watched) emitter.off(event, listener);
  };
}

/** Whether the client of an upgrade has closed its side already. */
function isUpgradeGone(request: IncomingMessage): boolean {
  if (responseOf(request) !== undefined) return false;
  const { socket } = request;
  if (!socket.readableEnded && !socket.destroyed) return false;
  socket.destroy();
  return true;
}
