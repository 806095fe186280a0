import { z } from 'zod';
import { readTopicName } from '../../shared/topic-name.js';
import type { Permissions } from '../auth/permissions.js';
import type { PresenceAnswer, PresenceReader } from '../presence/presence-reader.js';
import type { Command } from './command.js';

const schema = z.strictObject({ topic: z.string() });

/** `presence`: the users subscribed to a topic. */
export function presenceCommand(dependencies: {
  readonly presence: PresenceReader;
  readonly permissions: Permissions;
}): Command<z.output<typeof schema>, PresenceAnswer> {
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
    run(connection, request) {
      const topic = readTopicName(request.topic, 'topic');
      dependencies.permissions.check(connection.identity, 'presence', topic);
      return dependencies.presence.of(topic);
    },
  };
}
