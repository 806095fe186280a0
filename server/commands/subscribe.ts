import { z } from 'zod';
import { RefusalError, toWireError, type WireError } from '../../shared/errors.js';
import type { Position } from '../../shared/position.js';
import { readTopicName } from '../../shared/topic-name.js';
import type { Permissions } from '../auth/permissions.js';
import type { ServerFrame } from '../protocol/server-frame.js';
import type { Subscribed, Topics } from '../topics/topics.js';
import type { Connection } from '../protocol/connection.js';
import { statusFrame, type Command } from './command.js';
import { beginningOf } from '../protocol/name.js';
import { positionsField, topicsField } from '../protocol/request-fields.js';

interface SubscribeDependencies {
  readonly topics: Topics;
  readonly permissions: Permissions;
  /** Starts to send `presence` events of a topic to the connection. */
  readonly watchPresence: (connection: Connection, topic: string) => void;
  readonly sessions: {
    /** A topic that the session of the connection is still to get back. */
    awaited(connection: Connection, topic: string): { readonly since: Position | undefined } | undefined;
    /** The connection is subscribed: from `since`, if given, else from `at`. */
    subscribed(connection: Connection, topic: string, since: Position | undefined, at: Position): void;
  };
}

interface SubscribeSettings {
  readonly maxTopicsPerConnection: number;
}

const schema = z.strictObject({
  topics: topicsField,
  since: positionsField.optional(),
  /** Also send `presence` events of these topics. */
  presence: z.boolean().optional(),
});

interface SubscribeAnswer {
  topics: Subscribed[];
  rejected: { topic: string; error: WireError }[];
}

/** `subscribe`: each topic succeeds or is rejected by itself. */
export function subscribeCommand(
  { topics, permissions, watchPresence, sessions }: SubscribeDependencies,
  settings: SubscribeSettings,
): Command<z.output<typeof schema>, SubscribeAnswer> {
  const one = async (
    connection: Connection,
    topic: string,
    request: z.output<typeof schema>,
    held: number,
  ) => {
    if (held > settings.maxTopicsPerConnection) {
      throw new RefusalError(
        'too_many_topics',
        `a connection may hold ${settings.maxTopicsPerConnection} topics`,
        {
          limit: settings.maxTopicsPerConnection,
        },
      );
    }
    permissions.check(connection.identity, 'subscribe', topic);
    const given =
      request.since !== undefined && Object.hasOwn(request.since, topic) ? request.since[topic] : undefined;
    // A topic that the session has not got back yet goes on where the session was.
    const since = given ?? sessions.awaited(connection, topic)?.since;
    const subscribed = await topics.subscribe(connection, topic, since);
    sessions.subscribed(connection, topic, since, subscribed);
    if (request.presence === true) {
      permissions.check(connection.identity, 'presence', topic);
      watchPresence(connection, topic);
    }
    return subscribed;
  };
  return {
    name: 'subscribe',
    schema,
    frame: { type: 'Subscribe', answer: subscribedFrames },
    refusedIn: ['maintenance'],
    async run(connection, request) {
      const answer: SubscribeAnswer = { topics: [], rejected: [] };
      const names = [...new Set(request.topics)];
      const held = topics.positions(connection);
      const more = names.filter((name) => !held.has(name));
      await Promise.all(
        names.map(async (name, i) => {
          try {
            const topic = readTopicName(name, `topics[${i}]`);
            answer.topics.push(await one(connection, topic, request, held.size + more.indexOf(name) + 1));
          } catch (error) {
            if (!(error instanceof RefusalError)) throw error;
            answer.rejected.push({ topic: beginningOf(name, 200), error: toWireError(error) });
          }
        }),
      );
      return answer;
    },
  };
}

function subscribedFrames({ topics, rejected }: SubscribeAnswer): ServerFrame[] {
  return [
    statusFrame('subscribed', { topics: topics.map(({ topic }) => topic), positions: topics, rejected }),
  ];
}
