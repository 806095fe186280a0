import { Command } from 'commander';
import { readText, wholeOption } from '../arguments.js';
import { runWithService, withTarget, type ServiceContext, type ServiceOptions } from '../run-command.js';
import { ServiceClient } from '../target/service-client.js';
import { printable, textTable } from '../text-table.js';

interface Position {
  readonly epoch: string;
  readonly sequence: number;
}

interface TopicList {
  readonly topics: readonly {
    readonly topic: string;
    readonly subscribers: number;
    readonly behind: number;
    readonly position: Position;
    readonly replicas: readonly string[];
    readonly frozen: boolean;
  }[];
  readonly truncated: boolean;
  readonly silent_replicas: readonly string[];
}

interface ConnectionList {
  readonly connections: readonly {
    readonly connection_id: string;
    readonly user_id: string;
    readonly wire: string;
    readonly address: string;
    readonly connected_at: number;
    readonly replica_id: string;
    readonly waiting_bytes: number;
    readonly topics: Readonly<Record<string, Position>>;
  }[];
  readonly total: number;
  readonly truncated: boolean;
  readonly silent_replicas: readonly string[];
}

const limitOption = () =>
  wholeOption('-n, --limit <n>', 'list at most this many', { least: 1, most: 10_000 }).default(100);

/** `rtc topics` */
export function topicsCommand(): Command {
  const command = new Command('topics')
    .description('list topics that have subscribers, those with the most first')
    .option('--prefix <text>', 'only topics whose names begin so', readText)
    .addOption(limitOption());
  return withTarget(command, 'operator').action(
    (options: ServiceOptions & { prefix?: string; limit: number }) =>
      runWithService(command, options, 'operator', async (context) => {
        const { prefix, limit } = options;
        const found = await clientOf(context).ask<TopicList>('/admin/topics', { query: { prefix, limit } });
        context.terminal.result(found, () =>
          textTable(
            ['TOPIC', 'SUBSCRIBERS', 'BEHIND', 'SEQUENCE', 'REPLICAS', ''],
            found.topics.map(({ topic, subscribers, behind, position, replicas, frozen }) => {
              return [
                topic,
                subscribers,
                behind,
                position.sequence,
                replicas.join(' '),
                frozen ? 'frozen' : '',
              ];
            }),
          ),
        );
        noteLimits(found, context);
      }),
  );
}

/** `rtc connections` */
export function connectionsCommand(): Command {
  const command = new Command('connections')
    .description('list connections of all replicas')
    .option('-u, --user <id>', 'only those of this user', readText)
    .option('--topic <topic>', 'only subscribers of this topic', readText)
    .addOption(limitOption());
  return withTarget(command, 'operator').action(
    (options: ServiceOptions & { user?: string; topic?: string; limit: number }) =>
      runWithService(command, options, 'operator', async (context) => {
        const { user, topic, limit } = options;
        const query = { user, topic, limit };
        const found = await clientOf(context).ask<ConnectionList>('/admin/connections', { query });
        context.terminal.result(found, () =>
          textTable(
            ['CONNECTION', 'USER', 'REPLICA', 'WIRE', 'ADDRESS', 'SINCE', 'WAITING', 'TOPICS'],
            found.connections.map((one) => [
              one.connection_id,
              one.user_id,
              one.replica_id,
              one.wire,
              one.address,
              new Date(one.connected_at).toISOString(),
              `${one.waiting_bytes} B`,
              Object.keys(one.topics).length,
            ]),
          ),
        );
        if (found.total > found.connections.length)
          context.terminal.note(`${found.connections.length} of ${found.total}: --limit shows more`);
        noteLimits({ ...found, truncated: false }, context);
      }),
  );
}

function noteLimits(
  found: { readonly truncated: boolean; readonly silent_replicas: readonly string[] },
  { terminal }: ServiceContext,
): void {
  if (found.truncated) terminal.note('there are more: --limit shows them');
  if (found.silent_replicas.length > 0)
    terminal.note(`without the replicas that did not answer: ${printable(found.silent_replicas.join(', '))}`);
}

function clientOf({ target, timeoutMs }: ServiceContext): ServiceClient {
  return new ServiceClient(target, { timeoutMs });
}
