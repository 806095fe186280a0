import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { RefusalError } from '../../../shared/errors.js';
import { TokenBucket } from '../../primitives/token-bucket.js';

/** The address limits as admission uses them; see {@link AddressLimiter}. */
interface Addresses {
  readonly countsConnections: boolean;
  admit(address: string): void;
  entered(address: string): void;
  left(address: string): void;
}

export interface AdmissionDependencies {
  readonly addresses: Addresses;
  readonly addressOf: (request: IncomingMessage) => string;
}

export interface AdmissionSettings {
  /** 0: no limit. */
  readonly maxConnections: number;
  /** 0: no limit. */
  readonly handshakesPerSec: number;
}

/** A transport as admission sees it: engine.io's socket, or the one that stands in for it on `/ws`. */
export interface AdmittedTransport {
  readonly request: IncomingMessage;
  on(event: 'close', listener: () => void): unknown;
}

/** The client of a handshake went away while it waited for its turn: there is nobody to answer. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/** A handshake waits this long at most; clients give up after 20 seconds (socket.io-client's default). */
const longestWaitMs = 10_000;

/**
 * Decides on handshakes before anything is spent on them: capacity, address, pace, and whether the replica is stopping. A handshake holds a
 * place from the moment it is admitted, also while it waits; its transport takes the place over and gives it back when it closes.
 */
export class HandshakeAdmission {
  private readonly pace: TokenBucket | undefined;
  private draining = false;
  private taken = 0;
  /** Handshakes that are not transports yet, and how to stop watching whether their client goes away. */
  private readonly waiting = new WeakMap<IncomingMessage, () => void>();
  /** Only where addresses count connections. */
  private readonly addresses = new WeakMap<object, string>();

  constructor(
    private readonly dependencies: AdmissionDependencies,
    private readonly settings: AdmissionSettings,
  ) {
    this.pace =
      settings.handshakesPerSec > 0
        ? new TokenBucket(settings.handshakesPerSec, performance.now())
        : undefined;
  }

  /** Admits nobody from now on. */
  stop(): void {
    this.draining = true;
  }

  /**
   * Admits a handshake, or throws. Returns the milliseconds to wait before it is answered: a storm of clients is let in at a steady pace
   * instead of stalling everybody who is connected already.
   *
   * @throws RefusalError `at_capacity`, `rate_limited` or `shutting_down`, with the time after which to try again
   */
  admit(request: IncomingMessage): number {
    if (this.draining)
      throw new RefusalError('shutting_down', 'the replica is shutting down', { retryAfterMs: 1000 });
    const { maxConnections } = this.settings;
    if (maxConnections > 0 && this.taken >= maxConnections) {
      throw new RefusalError('at_capacity', `the replica holds ${maxConnections} connections`, {
        retryAfterMs: 5000,
        limit: maxConnections,
      });
    }
    const address = this.dependencies.addressOf(request);
    this.dependencies.addresses.admit(address);
    const waitMs = this.pace === undefined ? 0 : this.pace.reserve(performance.now(), longestWaitMs);
    if (waitMs === undefined) {
      throw new RefusalError('at_capacity', 'too many clients connect at once', {
        retryAfterMs: longestWaitMs,
      });
    }
    this.take(request, address);
    return waitMs;
  }

  /**
   * Admits a handshake and waits for its turn.
   *
   * @throws RefusalError as {@link admit}; rejects with ClientGoneError
   */
  admitInTurn(request: IncomingMessage): Promise<void> | undefined {
    const waitMs = this.admit(request);
    return waitMs === 0 ? undefined : this.waitForTurn(request, waitMs);
  }

  /** Whether the client of a handshake that was admitted, and has waited, is still there. */
  isWaiting(request: IncomingMessage): boolean {
    return this.waiting.has(request);
  }

  /** To be called with each new transport, in the turn in which it is made. */
  readonly entered = (transport: AdmittedTransport): void => {
    const { request } = transport;
    const unwatch = this.waiting.get(request);
    if (unwatch === undefined) return;
    this.waiting.delete(request);
    unwatch();
    const { addresses, addressOf } = this.dependencies;
    if (addresses.countsConnections) this.addresses.set(transport, addressOf(request));
    else if (this.settings.maxConnections === 0) {
      // Nobody counts: an idle connection is to be small.
      this.taken--;
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
    this.giveBack(addresses.countsConnections ? addressOf(request) : undefined);
  };

  private async waitForTurn(request: IncomingMessage, waitMs: number): Promise<void> {
    await sleep(waitMs, undefined, { ref: false });
    if (!this.isWaiting(request)) throw new ClientGoneError();
  }

  private take(request: IncomingMessage, address: string): void {
    this.taken++;
    const { addresses } = this.dependencies;
    const counted = addresses.countsConnections ? address : undefined;
    if (counted !== undefined) addresses.entered(counted);
    // A handshake of long-polling ends with its response, that of a WebSocket with its connection.
    const { res: response } = request as IncomingMessage & { res?: NodeJS.EventEmitter };
    const watched = response ?? request.socket;
    const gone = () => {
      if (this.waiting.delete(request)) this.giveBack(counted);
    };
    this.waiting.set(request, () => watched.off('close', gone));
    watched.once('close', gone);
  }

  // A listener that all transports share; `this` is the transport.
  private readonly onClosed = ((admission: HandshakeAdmission) =>
    function (this: object): void {
      admission.giveBack(admission.addresses.get(this));
    })(this);

  private giveBack(address: string | undefined): void {
    this.taken--;
    if (address !== undefined) this.dependencies.addresses.left(address);
  }
}
