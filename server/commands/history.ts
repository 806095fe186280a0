import { z } from 'zod';
import { RefusalError } from '../../shared/errors.js';
import { readTopicName } from '../../shared/topic-name.js';
import type { Permissions } from '../auth/permissions.js';
import { epochAt } from '../log/lineage.js';
import { positionField, topicField } from '../protocol/request-fields.js';
import type { Topics } from '../topics/topics.js';
import { messagesOf, pageLimits, type AnswerSettings } from './answer-page.js';
import { ackFrame, type Command } from './command.js';

/** `history`: a page of stored messages, after `since`, or before `before`, or the newest ones; oldest first. */
export function historyCommand(
  { topics, permissions }: { readonly topics: Topics; readonly permissions: Permissions },
  settings: AnswerSettings,
): Command<{
  topic: string;
  since?: z.output<typeof positionField> | undefined;
  before?: z.output<typeof positionField> | undefined;
  limit?: number | undefined;
}> {
  const schema = z.strictObject({
    topic: topicField,
    since: positionField.optional(),
    before: positionField.optional(),
    limit: z.int().min(1).max(settings.maxHistoryAnswer).optional(),
  });
  return {
    name: 'history',
    schema,
    frame: { type: 'GetHistory', answer: (answer) => [ackFrame(answer)] },
    isExpensive: true,
    refusedIn: ['maintenance'],
    order: { mode: 'alone', topics: ({ topic }) => [topic] },
    async run({ identity, wire }, { since, before, ...request }) {
      const topic = readTopicName(request.topic, 'topic');
      if (since !== undefined && before !== undefined)
        throw new RefusalError('invalid_message', 'before: cannot be given together with since', {
          field: 'before',
        });
      permissions.check(identity, 'history', topic);
      const limit = request.limit ?? Math.min(100, settings.maxHistoryAnswer);
      const history = await topics.history(topic, {
        ...pageLimits(wire, limit, settings),
        ...(since !== undefined && { since }),
        ...(before !== undefined && { before }),
      });
      const items = history.entries.map((item) => ({ item, epoch: epochAt(history, item.sequence) }));
      return {
        messages: messagesOf(wire, items),
        epoch: history.epoch,
        sequence: history.sequence,
        complete: history.continuous,
        ...(history.truncated && { truncated: true }),
        ...(history.next !== undefined && { next: history.next }),
      };
    },
  };
}
