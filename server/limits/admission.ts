import { RefusalError } from '../../shared/errors.js';
import { TokenBucket } from './token-bucket.js';

export interface AdmissionDependencies {
  /** Connections this replica holds. */
  readonly connections: () => number;
  readonly addresses: { admit(address: string): void };
}

export interface AdmissionSettings {
  /** 0: no limit. */
  readonly maxConnections: number;
  /** 0: no limit. */
  readonly handshakesPerSec: number;
}

/** A handshake waits this long at most; clients give up after 20 seconds (socket.io-client's default). */
const longestWaitMs = 10_000;

/** Decides on handshakes before anything is spent on them: capacity, address, pace, and whether the replica is stopping. */
export class HandshakeAdmission {
  private readonly pace: TokenBucket | undefined;
  private draining = false;

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
   * Admits a handshake from an address, or throws. Returns the milliseconds to wait before it is answered: a storm of clients is let in at a steady pace
   * instead of stalling everybody who is connected already.
   *
   * @throws RefusalError `at_capacity`, `rate_limited` or `shutting_down`, with the time after which to try again
   */
  admit(address: string): number {
    if (this.draining)
      throw new RefusalError('shutting_down', 'the replica is shutting down', { retryAfterMs: 1000 });
    const { maxConnections } = this.settings;
    if (maxConnections > 0 && this.dependencies.connections() >= maxConnections) {
      throw new RefusalError('at_capacity', `the replica holds ${maxConnections} connections`, {
        retryAfterMs: 5000,
        limit: maxConnections,
      });
    }
    this.dependencies.addresses.admit(address);
    const waitMs = this.pace === undefined ? 0 : this.pace.reserve(performance.now(), longestWaitMs);
    if (waitMs === undefined) {
      throw new RefusalError('at_capacity', 'too many clients connect at once', {
        retryAfterMs: longestWaitMs,
      });
    }
    return waitMs;
  }
}
