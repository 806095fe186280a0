import { z } from 'zod';
import { RefusalError } from '../../shared/errors.js';
import type { Identity } from '../protocol/identity.js';
import type { Connection } from '../protocol/connection.js';
import { statusFrame, type Command } from './command.js';
import { everyTopic } from './command-turn.js';

const schema = z.strictObject({ token: z.string().min(1).max(16_384) });

interface RefreshDependencies {
  readonly verify: (token: string) => Identity;
  /** Called when a connection has a new identity, with the one that it had. Resolves when its topics fit it. */
  readonly onRefreshed: (connection: Connection, former: Identity) => Promise<void>;
}

/**
 * `refresh`: replaces the token by a new one of the same user, without a reconnection. Topics that the new
 * token does not allow end before the answer.
 */
export function refreshCommand({
  verify,
  onRefreshed,
}: RefreshDependencies): Command<z.output<typeof schema>, { expires_at: number | null }> {
  return {
    name: 'refresh',
    schema,
    frame: { type: 'RefreshToken', answer: (answer) => [statusFrame('token_refreshed', answer)] },
    refusedIn: [],
    // No later command has the rights of the former token, and no earlier one begins with those of the new one. What has
    // no effect for long, because of a hook or the log, must not keep the client from renewing its token.
    order: { mode: 'at_once', topics: () => everyTopic },
    async run(connection, request) {
      const identity = verify(request.token);
      const former = connection.identity;
      if (identity.userId !== former.userId)
        throw new RefusalError('forbidden', 'the new token belongs to another user');
      connection.identity = identity;
      await onRefreshed(connection, former);
      return { expires_at: identity.expiresAt === undefined ? null : identity.expiresAt * 1000 };
    },
  };
}
