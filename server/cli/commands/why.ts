import { Command } from 'commander';
import { readMessageId, readText } from '../arguments.js';
import { exitCodes } from '../exit-codes.js';
import { runWithService, withTarget, type ServiceOptions } from '../run-command.js';
import { pathSegment } from '../target/path-segment.js';
import { ServiceClient } from '../target/service-client.js';
import { printable, textTable, timeOfDay } from '../text-table.js';

interface Finding {
  readonly outcome: string;
  readonly replica_id?: string;
  readonly connection_id?: string;
  readonly session_id?: string;
  readonly delivered_at?: number;
  readonly acknowledged_at?: number;
  readonly acknowledged_by?: number;
  readonly paused_from?: number;
  readonly paused_until?: number | null;
  readonly offline_since?: number;
  readonly reason?: string;
}

interface WhyAnswer extends Finding {
  readonly message_id: string;
  readonly user_id: string;
  readonly topic: string | null;
  readonly published_at: number;
  readonly complete: boolean;
  readonly findings: readonly Finding[];
  readonly silent_replicas: readonly string[];
}

/** `rtc why` */
export function whyCommand(): Command {
  const command = new Command('why')
    .description('say whether a user got a message and, if not, why')
    .argument('<message>', 'id of the message', readMessageId)
    .requiredOption('-u, --user <id>', 'id of the user', readText)
    .option('--topic <topic>', 'topic of the message, if it was not traced', readText);
  return withTarget(command, 'operator').action(
    (message: string, options: ServiceOptions & { user: string; topic?: string }) =>
      runWithService(command, options, 'operator', async ({ target, terminal, timeoutMs }) => {
        const { user, topic } = options;
        const path = `/admin/messages/${pathSegment('message', message)}/recipients/${pathSegment('user', user)}`;
        const answer = await new ServiceClient(target, { timeoutMs }).ask<WhyAnswer>(path, {
          query: { topic },
        });
        const { bold } = terminal.paint;
        terminal.result(answer, () =>
          [
            `${bold(nameOf(answer.outcome))}: ${sentenceOf(answer)}`,
            ...(answer.findings.length > 1 ? ['', tableOf(answer.findings)] : []),
          ].join('\n'),
        );
        if (answer.silent_replicas.length > 0)
          terminal.note(
            `without the replicas that did not answer: ${printable(answer.silent_replicas.join(', '))}`,
          );
        else if (!answer.complete)
          terminal.note('the user may have had connections of which nothing is known any more');
        return answer.outcome === 'unknown' ? exitCodes.failed : exitCodes.done;
      }),
  );
}

function nameOf(outcome: string): string {
  return printable(outcome).replaceAll('_', ' ');
}

/** What happened when, and why. */
function sentenceOf(finding: Finding): string {
  const { delivered_at: delivered, acknowledged_at: at, acknowledged_by: by } = finding;
  const { paused_from: from, paused_until: until, offline_since: since, reason } = finding;
  const parts = [
    from !== undefined &&
      `paused as a slow reader from ${timeOfDay(from)} ${typeof until === 'number' ? `to ${timeOfDay(until)}` : 'until now'}`,
    delivered !== undefined && `passed to the connection at ${timeOfDay(delivered)}`,
    at !== undefined && `acknowledged at ${timeOfDay(at)}`,
    by !== undefined && `receipt confirmed by ${timeOfDay(by)}`,
    since !== undefined && `offline since ${new Date(since).toISOString()}`,
    reason !== undefined && printable(reason),
  ].filter((part) => part !== false);
  return parts.length === 0 ? 'by its position in the topic' : parts.join('; ');
}

function tableOf(findings: readonly Finding[]): string {
  return textTable(
    ['OUTCOME', 'REPLICA', 'CONNECTION OR SESSION', ''],
    findings.map((finding) => [
      nameOf(finding.outcome),
      finding.replica_id ?? '',
      finding.connection_id ?? finding.session_id ?? '',
      sentenceOf(finding),
    ]),
  );
}
