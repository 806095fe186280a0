import { RefusalError } from '../../shared/errors.js';
import { TokenBucket } from './token-bucket.js';

export interface AdmissionSettings {
  /** 0: no limit. */
  readonly maxConnections: number;
  /** 0: no limit. */
  readonly handshakesPerSec: number;
}

/** Decides on handshakes before anything is spent on them: capacity, pace, and whether the replica is stopping. */
export class HandshakeAdmission {
  private readonly pace: TokenBucket | undefined;
  private draining = false;

  constructor(
    private readonly connections: () => number,
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

  /** @throws RefusalError `at_capacity` or `shutting_down`, with the time after which to try again */
  admit(): void {
    if (this.draining)
      throw new RefusalError('shutting_down', 'the replica is shutting down', { retryAfterMs: 1000 });
    const { maxConnections } = this.settings;
    if (maxConnections > 0 && this.connections() >= maxConnections) {
      throw new RefusalError('at_capacity', `the replica holds ${maxConnections} connections`, {
        retryAfterMs: 5000,
        limit: maxConnections,
      });
    }
    const waitMs = this.pace?.take(performance.now()) ?? 0;
    if (waitMs > 0)
      throw new RefusalError('at_capacity', 'too many handshakes at once', {
        retryAfterMs: Math.max(1000, waitMs),
      });
  }
}
