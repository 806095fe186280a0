import { z } from 'zod';
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
}: {
  readonly gate: Pick<SubscriptionGate, 'unsubscribe'>;
}): Command<z.output<typeof schema>, { topics: string[] }> {
  return {
    name: 'unsubscribe',
    schema,
    frame: { type: 'Unsubscribe', answer: (answer) => [statusFrame('unsubscribed', answer)] },
    refusedIn: [],
    order: { mode: 'at_once', topics: ({ topics }) => topics },
    run: (connection, request) => ({ topics: gate.unsubscribe(connection, request.topics) }),
  };
}
