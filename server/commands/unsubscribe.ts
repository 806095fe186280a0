import { z } from 'zod';
import type { Topics } from '../topics/topics.js';
import type { Connection } from '../protocol/connection.js';
import { statusFrame, type Command } from './command.js';
import { topicsField } from '../protocol/request-fields.js';

const schema = z.strictObject({ topics: topicsField });

/** `unsubscribe`: the answer lists the topics whose subscription, or whose pending restore, has ended. */
export function unsubscribeCommand(dependencies: {
  readonly topics: Topics;
  readonly unwatchPresence: (connection: Connection, topic: string) => void;
  readonly sessions: {
    /** The connection is not to get a topic that its session still awaits. False if it was not awaited. */
    forget(connection: Connection, topic: string): boolean;
    /** The subscriptions of a connection have changed. */
    onChanged(connection: Connection): void;
  };
}): Command<z.output<typeof schema>, { topics: string[] }> {
  return {
    name: 'unsubscribe',
    schema,
    frame: { type: 'Unsubscribe', answer: (answer) => [statusFrame('unsubscribed', answer)] },
    refusedIn: [],
    run(connection, request) {
      const { topics, sessions } = dependencies;
      const left = [...new Set(request.topics)].filter((topic) => {
        const wasAwaited = sessions.forget(connection, topic);
        return topics.unsubscribe(connection, topic) || wasAwaited;
      });
      for (const topic of left) dependencies.unwatchPresence(connection, topic);
      sessions.onChanged(connection);
      return { topics: left };
    },
  };
}
