import { z } from 'zod';
import type { Message } from '../../shared/message.js';
import { readTopicName } from '../../shared/topic-name.js';
import type { Permissions } from '../auth/permissions.js';
import { entryToMessage } from '../log/entry.js';
import { epochAt } from '../log/lineage.js';
import type { Topics } from '../topics/topics.js';
import type { History } from '../log/history.js';
import type { Wire } from '../protocol/connection.js';
import { ackFrame, type Command } from './command.js';
import { positionField } from '../protocol/request-fields.js';

/** The entries of a history answer, as messages for one wire. */
export function messagesOf(history: History, wire: Wire): Message[] {
  const form = wire === 'json' ? 'base64' : 'buffer';
  return history.entries.map(({ entry, sequence }) =>
    entryToMessage(entry, sequence, epochAt(history, sequence), form),
  );
}

/** `history`: stored messages after `since`, oldest first, or the newest ones. */
export function historyCommand(
  { topics, permissions }: { readonly topics: Topics; readonly permissions: Permissions },
  settings: { readonly maxHistoryAnswer: number },
): Command<{
  topic: string;
  since?: z.output<typeof positionField> | undefined;
  limit?: number | undefined;
}> {
  const schema = z.strictObject({
    topic: z.string(),
    since: positionField.optional(),
    limit: z.int().min(1).max(settings.maxHistoryAnswer).optional(),
  });
  return {
    name: 'history',
    schema,
    frame: { type: 'GetHistory', answer: (answer) => [ackFrame(answer)] },
    isExpensive: true,
    refusedIn: ['maintenance'],
    async run(connection, request) {
      const topic = readTopicName(request.topic, 'topic');
      permissions.check(connection.identity, 'history', topic);
      const limit = request.limit ?? Math.min(100, settings.maxHistoryAnswer);
      const history = await topics.history(topic, {
        limit,
        ...(request.since !== undefined && { since: request.since }),
      });
      return {
        messages: messagesOf(history, connection.wire),
        epoch: history.epoch,
        sequence: history.sequence,
        complete: history.continuous,
      };
    },
  };
}
