import { RefusalError } from '../../shared/errors.js';
import type { TokenHolder } from '../protocol/connection.js';
import type { Revocations } from './revocations.js';

/** Closes live connections whose token has been revoked, as soon as this replica receives the revocation. */
export function closeRevoked(revocations: Revocations, connections: () => Iterable<TokenHolder>): void {
  let planned = false;
  revocations.onRevoked(() => {
    // One sweep for many revocations that arrive together, for example after a restart of Redis.
    if (planned) return;
    planned = true;
    setImmediate(() => {
      planned = false;
      for (const connection of [...connections()]) {
        if (revocations.isRevoked(connection.identity))
          connection.disconnect(new RefusalError('token_revoked', 'the token has been revoked'));
      }
    });
  });
}
