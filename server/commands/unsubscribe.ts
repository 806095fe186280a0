import { z } from 'zod';
import type { Connection } from '../protocol/connection.js';
import type { SubscriptionGate } from '../topics/subscription-gate.js';
import { statusFrame, type Command } from './command.js';
import { topicsField } from '../protocol/request-fields.js';

const schema = z.strictObject({ topics: topicsField });

/**
 * `unsubscribe`: the answer lists the topics whose subscription has ended, also one that was on its way or was
 * still to be restored.
 */
export function unsubscribeCommand({
  gate,
  stored,
}: {
  readonly gate: Pick<SubscriptionGate, 'unsubscribe'>;
  /** Resolves when the session of a connection is stored as it is; undefined if it is. */
  readonly stored: (connection: Connection) => Promise<void> | undefined;
}): Command<z.output<typeof schema>, { topics: string[] }> {
  return {
    name: 'unsubscribe',
    schema,
    frame: { type: 'Unsubscribe', answer: (answer) => [statusFrame('unsubscribed', answer)] },
    refusedIn: [],
    order: { mode: 'at_once', topics: ({ topics }) => topics },
    run(connection, request) {
      const answer = { topics: gate.unsubscribe(connection, request.topics) };
      // The session does not bring these topics back, even if the replica ends right after the answer.
      return stored(connection)?.then(() => answer) ?? answer;
    },
  };
}
