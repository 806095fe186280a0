import { randomUUID } from 'node:crypto';
import { Command, Option } from 'commander';
import { payloadJson, readText, timeOption } from '../arguments.js';
import { CliError, strangeAnswerError, usageError } from '../cli-error.js';
import { exitCodes } from '../exit-codes.js';
import { runWithService, withTarget, type ServiceContext, type ServiceOptions } from '../run-command.js';
import { textOfStdin } from '../stdin.js';
import { ServiceClient } from '../target/service-client.js';
import { printable } from '../text-table.js';

interface SendOptions extends ServiceOptions {
  readonly key?: string;
  readonly confirm: 'stored' | 'delivered';
  readonly confirmTimeout?: number;
  readonly text?: true;
  readonly trace?: true;
}

interface PublishAnswer {
  readonly id: string;
  readonly topic: string;
  readonly epoch: string;
  readonly sequence: number;
  readonly durability: string;
  readonly duplicate?: true;
  readonly delivered?: number;
  readonly expected?: number;
}

interface DirectAnswer {
  readonly id: string;
  readonly sequence: number;
  readonly delivered: number;
  readonly queued: boolean;
  readonly recipients: number;
  readonly duplicate?: true;
}

/** `rtc publish` */
export function publishCommand(): Command {
  const command = new Command('publish')
    .description('publish one message; ends when it is stored')
    .argument('<topic>', 'the topic')
    .argument('[payload]', payloadForm);
  return sending(command).action((topic: string, payload: string | undefined, options: SendOptions) =>
    runWithService(command, options, 'user', async (context) => {
      const answer = await send<PublishAnswer>('/api/publish', { topic }, payload, options, context);
      const { id, epoch, sequence, durability, duplicate, delivered, expected } = answer;
      context.terminal.result(answer, () => {
        const confirmed = delivered === undefined ? '' : `, acknowledged by ${delivered} of ${expected}`;
        return printable(
          `${topic} ${epoch}:${sequence} ${durability}${duplicate ? ' (a repetition)' : ''}${confirmed}  ${id}`,
        );
      });
      // As with `rtc direct`: the answer says who has not confirmed.
      return delivered === undefined || delivered >= (expected ?? 0) ? exitCodes.done : exitCodes.failed;
    }),
  );
}

/** `rtc direct` */
export function directCommand(): Command {
  const command = new Command('direct')
    .description('send a direct message to a user; it waits in the inbox of a user who is offline')
    .argument('<user>', 'id of the user')
    .argument('[payload]', payloadForm);
  return sending(command).action((to: string, payload: string | undefined, options: SendOptions) =>
    runWithService(command, options, 'user', async (context) => {
      const answer = await send<DirectAnswer>('/api/direct', { to }, payload, options, context);
      context.terminal.result(answer, () => {
        const { id, delivered, recipients, queued, duplicate } = answer;
        const where = queued ? 'waits in the inbox' : 'delivered';
        const counts = recipients === 0 ? 'no connection' : `acknowledged by ${delivered} of ${recipients}`;
        return printable(`${to} ${where}, ${counts}${duplicate ? ' (a repetition)' : ''}  ${id}`);
      });
      return options.confirm === 'delivered' && answer.delivered === 0 ? exitCodes.failed : exitCodes.done;
    }),
  );
}

const payloadForm = 'JSON, or text if it is not JSON; - or nothing: read from standard input';

function sending(command: Command): Command {
  return withTarget(command, 'user')
    .option('-k, --key <key>', 'idempotency key: a repetition with it is stored once', readText)
    .addOption(
      new Option(
        '--confirm <what>',
        'wait until it is stored, or until it is acknowledged by those it was sent to',
      )
        .choices(['stored', 'delivered'])
        .default('stored'),
    )
    .addOption(
      timeOption('--confirm-timeout <time>', 'how long to wait for acknowledgements', { most: '1m' }),
    )
    .option('--text', 'the payload is text, also if it looks like JSON')
    .option('--trace', 'trace it: see rtc trace');
}

async function send<Answer extends { readonly id: string; readonly sequence: number }>(
  path: string,
  to: object,
  given: string | undefined,
  { key = randomUUID(), confirm, confirmTimeout, text, trace }: SendOptions,
  { target, terminal, timeoutMs }: ServiceContext,
): Promise<Answer> {
  if (confirmTimeout !== undefined && confirm !== 'delivered')
    throw usageError('--confirm-timeout is for --confirm delivered');
  if (given === undefined && process.stdin.isTTY)
    terminal.note('the payload is read from the terminal; Ctrl-D ends it');
  const written =
    given === undefined || given === '-' ? (await textOfStdin('the payload')).replace(/\n$/, '') : given;
  // A pipe that broke, or a job without standard input, means no empty message.
  if (written === '' && given !== '')
    throw usageError('standard input has no payload', "give it, or '' for an empty text");
  const payload = text ? JSON.stringify(written) : payloadJson(written);
  const client = new ServiceClient(target, { timeoutMs: timeoutMs + (confirmTimeout ?? 0) });
  try {
    const answer = await client.ask<Answer>(path, {
      method: 'POST',
      body: withPayload(payload, {
        ...to,
        confirm,
        // Not as a header, which not every character can be in.
        key,
        ...(confirmTimeout !== undefined && { timeout_ms: confirmTimeout }),
        ...(trace && { trace }),
      }),
    });
    // Only the service can say that it is stored.
    if (typeof answer.id !== 'string' || typeof answer.sequence !== 'number')
      throw strangeAnswerError(target.url, 'there is no position');
    return answer;
  } catch (error) {
    // It may have been stored.
    if (error instanceof CliError && ['unreachable', 'outcome_unknown', 'timeout'].includes(error.code))
      throw new CliError(
        error.message,
        error.exitCode,
        error.code,
        `it may be stored: repeat it with --key ${key}`,
      );
    throw error;
  }
}

/** A request as JSON, with a payload that already is. */
function withPayload(payload: string, others: object): string {
  return `{"payload":${payload},${JSON.stringify(others).slice(1)}`;
}
