import { Command, Option } from 'commander';
import { readMessageId, readPosition, wholeOption } from '../arguments.js';
import { exitCodes } from '../exit-codes.js';
import { stringify } from '../../protocol/exact-json.js';
import { messageLine, type ShownMessage } from '../message-line.js';
import { runWithService, withTarget, type ServiceOptions } from '../run-command.js';
import { pathSegment } from '../target/path-segment.js';
import { ServiceClient } from '../target/service-client.js';
import { printable, textTable, timeOfDay } from '../text-table.js';

interface Position {
  readonly epoch: string;
  readonly sequence: number;
}

interface HistoryPage {
  readonly messages: readonly ShownMessage[];
  readonly epoch: string;
  readonly sequence: number;
  readonly complete: boolean;
  readonly next?: { readonly since?: Position; readonly before?: Position };
}

interface TraceAnswer {
  readonly message_id: string;
  readonly events: readonly {
    readonly stage: string;
    readonly at: number;
    readonly replica_id: string;
    readonly details: Readonly<Record<string, unknown>>;
  }[];
  readonly silent_replicas: readonly string[];
}

/** `rtc history` */
export function historyCommand(): Command {
  const command = new Command('history')
    .description('print messages of a topic from its log, oldest first')
    .argument('<topic>', 'the topic')
    .addOption(wholeOption('-n, --limit <n>', 'at most this many', { least: 1, most: 100_000 }).default(20))
    .addOption(
      new Option('--since <epoch:sequence>', 'those after this position; else the newest').argParser(
        readPosition,
      ),
    );
  return withTarget(command, 'user').action(
    (topic: string, options: ServiceOptions & { limit: number; since?: Position }) =>
      runWithService(command, options, 'user', async ({ target, terminal, timeoutMs }) => {
        const client = new ServiceClient(target, { timeoutMs });
        const found = await readHistory(client, topic, options);
        terminal.result(found, () =>
          found.messages.map((message) => messageLine(message, terminal.paint)).join('\n'),
        );
        if (found.complete) return exitCodes.done;
        terminal.note('messages are missing: the history does not reach back to the position');
        return exitCodes.failed;
      }),
  );
}

/** Reads as many pages as it takes. */
async function readHistory(
  client: ServiceClient,
  topic: string,
  { limit, since }: { readonly limit: number; readonly since?: Position },
): Promise<Omit<HistoryPage, 'next'>> {
  let messages: ShownMessage[] = [];
  let from: { since?: Position; before?: Position } = since === undefined ? {} : { since };
  let complete = true;
  for (;;) {
    const page = await client.ask<HistoryPage>('/api/history', {
      query: {
        topic,
        limit: Math.min(1000, limit - messages.length),
        ...(from.since && { epoch: from.since.epoch, sequence: from.since.sequence }),
        ...(from.before && { before_epoch: from.before.epoch, before_sequence: from.before.sequence }),
      },
    });
    messages = since === undefined ? [...page.messages, ...messages] : [...messages, ...page.messages];
    complete &&= page.complete;
    const { epoch, sequence, next } = page;
    if (next === undefined || messages.length >= limit) return { messages, epoch, sequence, complete };
    from = next;
  }
}

/** `rtc trace` */
export function traceCommand(): Command {
  const command = new Command('trace')
    .description('print the stages of a traced message on all replicas, in order of time')
    .argument('<id>', 'id of the message', readMessageId);
  return withTarget(command, 'operator').action((id: string, options: ServiceOptions) =>
    runWithService(command, options, 'operator', async ({ target, terminal, timeoutMs }) => {
      const client = new ServiceClient(target, { timeoutMs });
      const trace = await client.ask<TraceAnswer>(`/admin/messages/${pathSegment('id', id)}/trace`);
      terminal.result(trace, () =>
        textTable(
          ['TIME', 'STAGE', 'REPLICA', 'DETAILS'],
          trace.events.map(({ at, stage, replica_id: replica, details }) => {
            return [timeOfDay(at), stage, replica, stringify(details)];
          }),
        ),
      );
      if (trace.silent_replicas.length > 0)
        terminal.note(
          `without the replicas that did not answer: ${printable(trace.silent_replicas.join(', '))}`,
        );
    }),
  );
}
