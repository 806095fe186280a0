import { z } from 'zod';
import { readTopicName } from '../../shared/topic-name.js';
import type { Permissions } from '../auth/permissions.js';
import type { PresenceAnswer, PresenceReader } from '../presence/presence-reader.js';
import { topicField } from '../protocol/request-fields.js';
import type { AnswerSettings } from './answer-page.js';
import type { Command } from './command.js';

/** Most users in one answer. */
const usersLimit = 10_000;

const schema = z.strictObject({
  topic: topicField,
  limit: z.int().min(1).max(usersLimit).optional(),
  cursor: z
    .string()
    .regex(/^\d{1,20}$/, 'must be the cursor of an earlier answer')
    .optional(),
});

/** `presence`: a page of the users subscribed to a topic. */
export function presenceCommand(
  dependencies: {
    readonly presence: PresenceReader;
    readonly permissions: Permissions;
  },
  settings: Pick<AnswerSettings, 'maxHistoryAnswerBytes'>,
): Command<z.output<typeof schema>, PresenceAnswer> {
  return {
    name: 'presence',
    schema,
    frame: {
      type: 'GetPresence',
      answer: (answer, { data }) => [
        { type: 'Presence', data: { ...answer, topic: (data as { topic: string }).topic } },
      ],
    },
    isExpensive: true,
    refusedIn: ['maintenance'],
    order: { mode: 'together', topics: ({ topic }) => [topic] },
    run(connection, { limit = usersLimit, cursor, ...request }) {
      const topic = readTopicName(request.topic, 'topic');
      dependencies.permissions.check(connection.identity, 'presence', topic);
      return dependencies.presence.of(topic, {
        limit,
        bytes: settings.maxHistoryAnswerBytes,
        ...(cursor !== undefined && { cursor }),
      });
    },
  };
}
