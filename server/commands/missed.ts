import { z } from 'zod';
import type { Position } from '../../shared/position.js';
import type { Permissions } from '../auth/permissions.js';
import type { Connection } from '../protocol/connection.js';
import { positionField, sessionIdField } from '../protocol/request-fields.js';
import { boundedRecord } from '../protocol/request-shape.js';
import type { ServerFrame } from '../protocol/server-frame.js';
import type { Topics } from '../topics/topics.js';
import { messagesOf, pageLimits, type AnsweredMessage, type AnswerSettings } from './answer-page.js';
import { ackFrame, statusFrame, type RequestFrame, type Command } from './command.js';
import { everyTopic } from './command-turn.js';

interface MissedDependencies {
  readonly topics: Pick<Topics, 'missed'>;
  /** The topics of a connection, also those that its session still awaits: `complete` is said of all of them. */
  readonly heldBy: (connection: Connection) => Set<string>;
  readonly permissions: Permissions;
  /** Topics of a stored session. `none`: there is no such session of this user. */
  readonly sessionTopics: (
    sessionId: string,
    userId: string,
  ) => Promise<readonly string[] | 'none' | 'unreadable'>;
}

/** @param maxPositions those of an earlier answer: of the topics of a connection, and of a session */
const schemaOf = (maxPositions: number) =>
  z.strictObject({
    /** Id of the last message that the client received. */
    since: z.uuid(),
    session_id: sessionIdField.optional(),
    /** Positions at which an earlier answer has ended: they count instead of `since`. */
    positions: boundedRecord(positionField, maxPositions).optional(),
  });

interface MissedAnswer {
  messages: AnsweredMessage[];
  complete: boolean;
  next?: { readonly positions: Readonly<Record<string, Position>> };
}

/**
 * `missed`: a page of the messages after a given one, on all topics of the connection (or of its session). On the topic of the given
 * message the answer is exact. On the other topics the ids decide, because they are ordered by time (UUIDv7, RFC 9562). `complete` is
 * false if a log may not reach back far enough, if the topics of the session are not known, or if there are further messages; then `next` is given.
 */
export function missedCommand(
  { topics, heldBy, permissions, sessionTopics }: MissedDependencies,
  settings: AnswerSettings & { readonly maxTopicsPerConnection: number },
): Command<z.output<ReturnType<typeof schemaOf>>, MissedAnswer> {
  return {
    name: 'missed',
    schema: schemaOf(2 * settings.maxTopicsPerConnection),
    frame: { type: 'GetMissedMessages', answer: missedFrames },
    isExpensive: true,
    refusedIn: ['maintenance'],
    order: { mode: 'alone', topics: () => everyTopic },
    async run(connection, { since, session_id: sessionId, positions = {} }) {
      const { identity, wire } = connection;
      const names = heldBy(connection);
      let isKnown = true;
      if (sessionId !== undefined) {
        const stored = await sessionTopics(sessionId, identity.userId);
        if (typeof stored !== 'string') for (const topic of stored) names.add(topic);
        // That of the connection itself may not be stored yet: its topics are those of the connection.
        else isKnown = stored === 'none' && sessionId === connection.sessionId;
      }
      const allowed = [...names].filter((topic) => permissions.allows(identity, 'history', topic));
      const { messages, complete, next } = await topics.missed(allowed, {
        ...pageLimits(wire, settings.maxHistoryAnswer, settings),
        since,
        positions: new Map(Object.entries(positions).filter(([topic]) => names.has(topic))),
      });
      return {
        messages: messagesOf(wire, messages),
        complete: complete && isKnown,
        ...(next !== undefined && { next: { positions: Object.fromEntries(next) } }),
      };
    },
  };
}

/** Without an id, the messages come as if they were live, then a `Status` that ends them. */
function missedFrames(answer: MissedAnswer, { id }: RequestFrame): ServerFrame[] {
  if (id !== undefined) return [ackFrame(answer)];
  const { messages, complete, next } = answer;
  const frames = messages.map((message): ServerFrame => ({ type: 'Broadcast', data: message }));
  const details = { count: messages.length, complete, ...(next !== undefined && { next }) };
  return [...frames, statusFrame('missed', details)];
}
