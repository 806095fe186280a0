import { Argument, Command, Option } from 'commander';
import { readText, timeOption, wholeOption } from '../arguments.js';
import { usageError } from '../cli-error.js';
import { runWithService, withTarget, type ServiceOptions } from '../run-command.js';
import { pathSegment } from '../target/path-segment.js';
import { ServiceClient, type ServiceRequest } from '../target/service-client.js';
import { printable, textTable } from '../text-table.js';

interface ControlAnswer {
  readonly mode: string;
  readonly accepts_connections: boolean;
  readonly presence: string;
  readonly frozen_topics: readonly string[];
  readonly rate_limits: { readonly connection_rps: number; readonly user_rps: number };
  readonly switched: Readonly<
    Record<string, { readonly by: string; readonly at: number; readonly reason?: string }>
  >;
}

/** What the service takes. */
const rateRange = { least: 0, most: 1_000_000 } as const;

interface SwitchOptions extends ServiceOptions {
  readonly reason?: string;
}

/** `rtc emergency`: the switches of operators, for all replicas. */
export function emergencyCommand(): Command {
  const command = new Command('emergency').description('switches for all replicas, and notices to clients');
  withTarget(command.command('status', { isDefault: true }), 'operator')
    .description('show what is switched, by whom and why')
    .action((options: ServiceOptions) => change(command, options, () => undefined));
  switching(command.command('mode'))
    .description('normal; read_only: no publishes; maintenance: no commands that need the logs')
    .addArgument(new Argument('<mode>', 'the mode').choices(['normal', 'read_only', 'maintenance']))
    .action((mode: string, options: SwitchOptions) =>
      change(command, options, () => ({ path: '/emergency-mode', body: { mode } })),
    );
  for (const [name, path, text] of [
    ['close', '/connections/disable-new', 'refuse new connections; those there are stay'],
    ['open', '/connections/enable-new', 'admit new connections again'],
  ] as const)
    switching(command.command(name))
      .description(text)
      .action((options: SwitchOptions) => change(command, options, () => ({ path })));
  for (const [name, text] of [
    ['freeze', 'refuse publishes to a topic; it can be read'],
    ['unfreeze', 'allow publishes to a topic again'],
  ] as const)
    switching(command.command(name))
      .description(text)
      .argument('<topic>', 'the topic')
      .action((topic: string, options: SwitchOptions) =>
        change(command, options, () => ({ path: `/topics/${pathSegment('topic', topic)}/${name}` })),
      );
  switching(command.command('presence'))
    .description('switch presence off, to spare Redis, and on again')
    .addArgument(new Argument('<what>', 'what to do').choices(['shed', 'restore']))
    .action((what: string, options: SwitchOptions) =>
      change(command, options, () => ({ path: `/presence/${what}` })),
    );
  switching(command.command('rates'))
    .description('change the rates of commands; 0 is no limit')
    .addOption(wholeOption('--connection-rps <n>', 'commands per second of one connection', rateRange))
    .addOption(wholeOption('--user-rps <n>', 'commands per second of one user', rateRange))
    .option('--reset', 'return to the rates of the settings')
    .action((options: SwitchOptions & { connectionRps?: number; userRps?: number; reset?: true }) =>
      change(command, options, () => ratesRequest(options)),
    );
  switching(command.command('limit'))
    .description('limit the commands of one user for a time; it ends by itself')
    .argument('<user>', 'id of the user')
    .addOption(
      wholeOption('--rps <n>', 'commands per second', { ...rateRange, least: 1 }).makeOptionMandatory(),
    )
    .addOption(
      timeOption('--for <time>', 'how long: 10m, 2h', { least: '1s', most: '7d' }).default(3_600_000, '1h'),
    )
    .action((user: string, { rps, for: forMs, ...options }: SwitchOptions & { rps: number; for: number }) =>
      change(command, options, () => ({
        path: `/users/${pathSegment('user', user)}/limit`,
        method: 'PUT',
        body: { commands_per_sec: rps, for_secs: Math.round(forMs / 1000) },
      })),
    );
  switching(command.command('unlimit'))
    .description('end the limit of one user before its time')
    .argument('<user>', 'id of the user')
    .action((user: string, options: SwitchOptions) =>
      change(command, options, () => ({
        path: `/users/${pathSegment('user', user)}/limit`,
        method: 'DELETE',
      })),
    );
  withTarget(command.command('notify'), 'operator')
    .description('send a notice to all clients, to users, or to the subscribers of a topic')
    .argument('<message>', 'the notice')
    .addOption(
      new Option('--level <level>', 'how bad it is').choices(['info', 'warning', 'error']).default('info'),
    )
    .option('--user <id...>', 'only to these users')
    .option('--topic <topic>', 'only to the subscribers of this topic', readText)
    .action((message: string, options: ServiceOptions & { level: string; user?: string[]; topic?: string }) =>
      runWithService(command, options, 'operator', async ({ target, terminal, timeoutMs }) => {
        const { level, user: users, topic } = options;
        const body = {
          data: { level, message },
          ...(users && { users }),
          ...(topic !== undefined && { topic }),
        };
        const client = new ServiceClient(target, { timeoutMs });
        const answer = await client.ask<{ notified: number }>('/admin/broadcast', { method: 'POST', body });
        terminal.result(answer, () => `${answer.notified} connections were notified`);
      }),
    );
  switching(command.command('disconnect'))
    .description('close all connections of a user; to keep the user out, revoke the tokens')
    .argument('<user>', 'id of the user')
    .action((user: string, options: SwitchOptions) =>
      runWithService(command, options, 'operator', async ({ target, terminal, timeoutMs }) => {
        const body = options.reason === undefined ? {} : { reason: options.reason };
        const client = new ServiceClient(target, { timeoutMs });
        const path = `/admin/users/${pathSegment('user', user)}/disconnect`;
        const answer = await client.ask<{ disconnected: number }>(path, { method: 'POST', body });
        terminal.result(answer, () => `${answer.disconnected} connections were closed`);
      }),
    );
  return command;
}

function switching(command: Command): Command {
  return withTarget(command, 'operator').option(
    '--reason <text>',
    'kept with the switch and in the audit log',
  );
}

type SwitchRequest = Pick<ServiceRequest, 'method'> & { readonly path: string; readonly body?: object };

function ratesRequest({
  connectionRps,
  userRps,
  reset,
}: {
  readonly connectionRps?: number;
  readonly userRps?: number;
  readonly reset?: true;
}): SwitchRequest {
  const path = '/config/rate-limits';
  if (reset) {
    if (connectionRps !== undefined || userRps !== undefined) throw usageError('--reset takes no rates');
    return { path, method: 'DELETE' };
  }
  if (connectionRps === undefined && userRps === undefined)
    throw usageError('give --connection-rps, --user-rps or --reset');
  return {
    path,
    method: 'PUT',
    body: {
      ...(connectionRps !== undefined && { connection_rps: connectionRps }),
      ...(userRps !== undefined && { user_rps: userRps }),
    },
  };
}

/** Makes a change, if there is one, and shows the switches after it. */
function change(
  command: Command,
  options: SwitchOptions,
  wanted: () => SwitchRequest | undefined,
): Promise<void> {
  return runWithService(command, options, 'operator', async ({ target, terminal, timeoutMs }) => {
    const client = new ServiceClient(target, { timeoutMs });
    const request = wanted();
    if (request !== undefined) {
      const { path, method = 'POST', body } = request;
      const reason = options.reason === undefined ? {} : { reason: options.reason };
      await client.ask(`/admin${path}`, {
        method,
        ...(method !== 'DELETE' && { body: { ...body, ...reason } }),
      });
    }
    const state = await client.ask<ControlAnswer>('/admin/emergency-mode');
    terminal.result(state, () => inWords(state));
  });
}

function inWords({
  mode,
  accepts_connections: accepts,
  presence,
  frozen_topics: frozen,
  rate_limits: rates,
  switched,
}: ControlAnswer): string {
  const switches = Object.entries(switched).map(([name, { by, at, reason = '' }]) => [
    name,
    by,
    new Date(at).toISOString(),
    reason,
  ]);
  return [
    `mode             ${printable(mode)}`,
    `new connections  ${accepts ? 'admitted' : 'refused'}`,
    `presence         ${printable(presence)}`,
    `frozen topics    ${printable(frozen.join(', ')) || 'none'}`,
    `rates            ${rates.connection_rps} per connection, ${rates.user_rps} per user (0: no limit)`,
    ...(switches.length === 0 ? [] : ['', textTable(['SWITCH', 'BY', 'AT', 'REASON'], switches)]),
  ].join('\n');
}
