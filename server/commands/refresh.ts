import { z } from 'zod';
import { RefusalError } from '../../shared/errors.js';
import type { Identity } from '../protocol/identity.js';
import type { Connection } from '../protocol/connection.js';
import { statusFrame, type Command } from './command.js';

const schema = z.strictObject({ token: z.string().min(1).max(16_384) });

/** `refresh`: replaces the token by a new one of the same user, without a reconnection. */
export function refreshCommand(dependencies: {
  readonly verify: (token: string) => Identity;
  readonly onRefreshed: (connection: Connection) => void;
}): Command<z.output<typeof schema>, { expires_at: number | null }> {
  return {
    name: 'refresh',
    schema,
    frame: { type: 'RefreshToken', answer: (answer) => [statusFrame('token_refreshed', answer)] },
    refusedIn: [],
    run(connection, request) {
      const identity = dependencies.verify(request.token);
      if (identity.userId !== connection.identity.userId) {
        throw new RefusalError('forbidden', 'the new token belongs to another user');
      }
      connection.identity = identity;
      dependencies.onRefreshed(connection);
      return { expires_at: identity.expiresAt === undefined ? null : identity.expiresAt * 1000 };
    },
  };
}
