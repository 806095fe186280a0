import { RefusalError } from '../../shared/errors.js';
import type { Connection } from '../protocol/connection.js';

interface TokenWatchDependencies {
  readonly connections: () => Iterable<Connection>;
  readonly now: () => number;
}

interface TokenWatchSettings {
  readonly leewaySecs: number;
  /** The client is told this long before its token expires. */
  readonly noticeSecs: number;
  readonly sweepMs: number;
}

/**
 * Follows the tokens of live connections: tells clients by `token_expiring` that it is time to send `refresh`, and closes connections whose
 * token has been past its expiry for the leeway. One sweep serves all.
 */
export class TokenWatch {
  /** Expiry (seconds) of which a connection has been told. */
  private readonly told = new WeakMap<Connection, number>();
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
      } else if (this.told.get(connection) !== expiresAt) {
        this.told.set(connection, expiresAt);
        connection.emit('token_expiring', { expires_at: expiresAt * 1000 });
      }
    }
  }
}
