import { z } from 'zod';
import type { Message } from '../../shared/message.js';
import type { Permissions } from '../auth/permissions.js';
import type { ServerFrame } from '../protocol/server-frame.js';
import type { Topics } from '../topics/topics.js';
import type { Connection } from '../protocol/connection.js';
import { ackFrame, statusFrame, type RequestFrame, type Command } from './command.js';
import { messagesOf } from './history.js';

interface MissedDependencies {
  readonly topics: Topics;
  readonly permissions: Permissions;
  /** Topics of a stored session of this user; empty when there is none. */
  readonly sessionTopics: (sessionId: string, userId: string) => Promise<string[]>;
}

const schema = z.strictObject({
  /** Id of the last message that the client received. */
  since: z.uuid(),
  /** Null is none, as clients have it that do not know theirs yet. */
  session_id: z.string().min(1).max(100).nullish(),
});

interface MissedAnswer {
  messages: Message[];
  complete: boolean;
}

/**
 * `missed`: the messages after a given one, on all topics of the connection (or of its session). On the topic of the given message the
 * answer is exact. On the other topics the ids decide, because they are ordered by time (UUIDv7, RFC 9562). `complete` is false if a log
 * may not reach back far enough.
 */
export function missedCommand(
  { topics, permissions, sessionTopics }: MissedDependencies,
  settings: { readonly maxHistoryAnswer: number },
): Command<z.output<typeof schema>, MissedAnswer> {
  const limit = settings.maxHistoryAnswer;
  const ofTopic = async (connection: Connection, topic: string, since: string): Promise<MissedAnswer> => {
    const history = await topics.history(topic, { limit });
    const messages = messagesOf(history, connection.wire);
    const at = messages.findIndex((message) => message.id === since);
    if (at >= 0) return { messages: messages.slice(at + 1), complete: true };
    const after = messages.filter((message) => message.id > since);
    const reachesBack = after.length < messages.length || history.sequence === messages.length;
    return { messages: after, complete: reachesBack };
  };
  return {
    name: 'missed',
    schema,
    frame: { type: 'GetMissedMessages', answer: missedFrames },
    isExpensive: true,
    refusedIn: ['maintenance'],
    async run(connection, request) {
      const ofSession =
        request.session_id === undefined || request.session_id === null
          ? []
          : await sessionTopics(request.session_id, connection.identity.userId);
      const names = new Set([...topics.positions(connection).keys(), ...ofSession]);
      const allowed = [...names].filter((topic) => permissions.allows(connection.identity, 'history', topic));
      const answers = await Promise.all(allowed.map((topic) => ofTopic(connection, topic, request.since)));
      const messages = merge(answers.map((answer) => answer.messages));
      const complete = answers.every((answer) => answer.complete) && messages.length <= limit;
      return { messages: messages.slice(0, limit), complete };
    },
  };
}

/** Without an id, the messages come as if they were live, then a `Status` that ends them. */
function missedFrames(answer: MissedAnswer, { id }: RequestFrame): ServerFrame[] {
  if (id !== undefined) return [ackFrame(answer)];
  const { messages, complete } = answer;
  const frames = messages.map((message): ServerFrame => ({ type: 'Broadcast', data: message }));
  return [...frames, statusFrame('missed', { count: messages.length, complete })];
}

/** Merges the topics by id, keeping each topic's own order. */
function merge(lists: Message[][]): Message[] {
  const heads = lists.map(() => 0);
  const merged: Message[] = [];
  for (;;) {
    let first = -1;
    lists.forEach((list, i) => {
      const head = list[heads[i]!];
      if (head !== undefined && (first < 0 || head.id < lists[first]![heads[first]!]!.id)) first = i;
    });
    if (first < 0) return merged;
    merged.push(lists[first]![heads[first]!++]!);
  }
}
