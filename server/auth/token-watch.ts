import { RefusalError } from '../../shared/errors.js';
import type { TokenHolder } from '../protocol/connection.js';

interface TokenWatchDependencies {
  readonly connections: () => Iterable<TokenHolder>;
  readonly now: () => number;
}

interface TokenWatchSettings {
  readonly leewaySecs: number;
  /** Clients receive `token_expiring` this long before their token expires. */
  readonly noticeSecs: number;
  readonly sweepMs: number;
}

/**
 * Checks the tokens of live connections. Clients receive `token_expiring` when it is time to send `refresh`.
 * A connection is closed when its token has been expired for longer than the leeway. One sweep checks all
 * connections.
 */
export class TokenWatch {
  /** The expiry (seconds) that a connection was last notified of. */
  private readonly notified = new WeakMap<TokenHolder, number>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly dependencies: TokenWatchDependencies,
    private readonly settings: TokenWatchSettings,
  ) {
    this.timer = setInterval(() => this.sweep(), settings.sweepMs);
    this.timer.unref();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private sweep(): void {
    const nowSecs = this.dependencies.now() / 1000;
    const { leewaySecs, noticeSecs } = this.settings;
    for (const connection of [...this.dependencies.connections()]) {
      const { expiresAt } = connection.identity;
      if (expiresAt === undefined || nowSecs < expiresAt - noticeSecs) continue;
      if (nowSecs > expiresAt + leewaySecs) {
        connection.disconnect(new RefusalError('token_expired', 'the token has expired'));
      } else if (this.notified.get(connection) !== expiresAt) {
        this.notified.set(connection, expiresAt);
        connection.emit('token_expiring', { expires_at: expiresAt * 1000 });
      }
    }
  }
}
