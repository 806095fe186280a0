import { z } from 'zod';
import type { Topics } from '../topics/topics.js';
import type { Connection } from '../protocol/connection.js';
import type { Command } from './command.js';
import { topicsField } from '../protocol/request-fields.js';

const schema = z.strictObject({ topics: topicsField });

/** `unsubscribe`: the answer lists the topics whose subscription has ended. */
export function unsubscribeCommand(dependencies: {
  readonly topics: Topics;
  readonly unwatchPresence: (connection: Connection, topic: string) => void;
  readonly onChanged: (connection: Connection) => void;
}): Command<z.output<typeof schema>, { topics: string[] }> {
  return {
    name: 'unsubscribe',
    schema,
    run(connection, request) {
      const left = [...new Set(request.topics)].filter((topic) =>
        dependencies.topics.unsubscribe(connection, topic),
      );
      for (const topic of left) dependencies.unwatchPresence(connection, topic);
      dependencies.onChanged(connection);
      return { topics: left };
    },
  };
}
