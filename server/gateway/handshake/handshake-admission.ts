import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { RefusalError } from '../../../shared/errors.js';
import { responseOf } from '../engine-internals/engine-server.js';
import { TokenBucket } from '../../primitives/token-bucket.js';

/** The address limits as admission uses them; see {@link AddressLimiter}. */
interface Addresses {
  readonly countsConnections: boolean;
  admit(address: string): void;
  connected(address: string): void;
  disconnected(address: string): void;
}

interface AdmissionDependencies {
  readonly addresses: Addresses;
  readonly addressOf: (request: IncomingMessage) => string;
}

interface AdmissionSettings {
  /** 0: no limit. */
  readonly maxConnections: number;
  /** 0: no limit. */
  readonly handshakesPerSec: number;
}

/** A transport as admission uses it: engine.io's socket, or the one that replaces it on `/ws`. */
interface AdmittedTransport {
  readonly request: IncomingMessage;
  on(event: 'close', listener: () => void): unknown;
}

/** The client disconnected while its handshake waited: there is no one to answer. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/**
 * A handshake waits at most this long, in milliseconds. Clients time out after 20 seconds (socket.io-client's
 * default).
 */
const longestWaitMs = 10_000;

/**
 * Admits or refuses handshakes before they cost anything, by capacity, address, rate and whether the replica
 * is stopping. A handshake holds a connection slot from its admission on, also while it waits. The slot
 * passes to its transport and is released when the transport closes.
 */
export class HandshakeAdmission {
  private readonly handshakeRate: TokenBucket | undefined;
  private draining = false;
  private slotsInUse = 0;
  /**
   * Admitted handshakes without a transport yet, each with a function that stops watching for a disconnect of
   * the client.
   */
  private readonly waiting = new WeakMap<IncomingMessage, () => void>();
  /** Addresses of transports; used only if connections of addresses are limited. */
  private readonly addresses = new WeakMap<object, string>();

  constructor(
    private readonly dependencies: AdmissionDependencies,
    private readonly settings: AdmissionSettings,
  ) {
    this.handshakeRate =
      settings.handshakesPerSec > 0
        ? new TokenBucket(settings.handshakesPerSec, performance.now())
        : undefined;
  }

  /** Refuses all handshakes from now on. */
  stop(): void {
    this.draining = true;
  }

  /**
   * Admits a handshake, or throws. Returns the milliseconds to wait before it is answered: when many clients
   * connect at once, they are admitted at a steady rate, so that clients already connected are not delayed.
   *
   * @throws RefusalError `at_capacity`, `rate_limited` or `shutting_down`, with the time after which to try
   * again
   */
  admit(request: IncomingMessage): number {
    if (this.draining)
      throw new RefusalError('shutting_down', 'the replica is shutting down', { retryAfterMs: 1000 });
    const { maxConnections } = this.settings;
    if (maxConnections > 0 && this.slotsInUse >= maxConnections) {
      throw new RefusalError('at_capacity', `the replica holds ${maxConnections} connections`, {
        retryAfterMs: 5000,
        limit: maxConnections,
      });
    }
    const address = this.dependencies.addressOf(request);
    this.dependencies.addresses.admit(address);
    const waitMs =
      this.handshakeRate === undefined ? 0 : this.handshakeRate.reserve(performance.now(), longestWaitMs);
    if (waitMs === undefined) {
      throw new RefusalError('at_capacity', 'too many clients connect at once', {
        retryAfterMs: longestWaitMs,
      });
    }
    this.acquireSlot(request, address);
    return waitMs;
  }

  /**
   * Admits a handshake and waits until it may be answered.
   *
   * @throws RefusalError as {@link admit}; rejects with ClientGoneError
   */
  admitInTurn(request: IncomingMessage): Promise<void> | undefined {
    const waitMs = this.admit(request);
    return waitMs === 0 ? undefined : this.waitForTurn(request, waitMs);
  }

  /** Whether the client of an admitted handshake is still connected after the wait. */
  isWaiting(request: IncomingMessage): boolean {
    return this.waiting.has(request);
  }

  /** Must be called with each new transport, in the turn in which it is created. */
  readonly transportOpened = (transport: AdmittedTransport): void => {
    const { request } = transport;
    const unwatch = this.waiting.get(request);
    if (unwatch === undefined) return;
    this.waiting.delete(request);
    unwatch();
    const { addresses, addressOf } = this.dependencies;
    if (addresses.countsConnections) this.addresses.set(transport, addressOf(request));
    else if (this.settings.maxConnections === 0) {
      // No limit needs a count here; without a listener an idle connection stays small.
      this.slotsInUse--;
      return;
    }
    transport.on('close', this.onClosed);
  };

  /**
   * To be called with a handshake that ended without a transport. Its response need not close: one that is queued behind another response never
   * does if the client goes away.
   */
  readonly failed = (request: IncomingMessage): void => {
    const unwatch = this.waiting.get(request);
    if (unwatch === undefined) return;
    this.waiting.delete(request);
    unwatch();
    const { addresses, addressOf } = this.dependencies;
    this.releaseSlot(addresses.countsConnections ? addressOf(request) : undefined);
  };

  private async waitForTurn(request: IncomingMessage, waitMs: number): Promise<void> {
    await sleep(waitMs, undefined, { ref: false });
    if (!this.isWaiting(request)) throw new ClientGoneError();
  }

  private acquireSlot(request: IncomingMessage, address: string): void {
    this.slotsInUse++;
    const { addresses } = this.dependencies;
    const counted = addresses.countsConnections ? address : undefined;
    if (counted !== undefined) addresses.connected(counted);
    // A handshake of long-polling ends with its response, a handshake of a WebSocket with its connection.
    const watched: EventEmitter = responseOf(request) ?? request.socket;
    const onClientClose = () => {
      if (this.waiting.delete(request)) this.releaseSlot(counted);
    };
    this.waiting.set(request, () => watched.off('close', onClientClose));
    watched.once('close', onClientClose);
  }

  // One listener shared by all transports; `this` is the transport.
  private readonly onClosed = ((admission: HandshakeAdmission) =>
    function (this: object): void {
      admission.releaseSlot(admission.addresses.get(this));
    })(this);

  private releaseSlot(address: string | undefined): void {
    this.slotsInUse--;
    if (address !== undefined) this.dependencies.addresses.disconnected(address);
  }
}
