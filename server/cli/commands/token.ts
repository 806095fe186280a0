import { Command } from 'commander';
import { readText, readTokenTime } from '../arguments.js';
import { usageError } from '../cli-error.js';
import { configOf, runCommand, withOutput, type OutputOptions } from '../run-command.js';
import { textOfStdin } from '../stdin.js';
import type { CreateOptions } from '../token-run.js';

/** `rtc token create` and `rtc token inspect`. */
export function tokenCommand(): Command {
  const command = new Command('token').description('create and inspect tokens');
  withOutput(command.command('create', { isDefault: true }))
    .description('print a token that is signed with JWT_SECRET')
    .requiredOption('-u, --user <id>', 'user id (claim sub)', readText)
    .option('-r, --role <role...>', 'roles', ['user'])
    .option(
      '-t, --topic <pattern...>',
      'topics the token is restricted to; names are subscribed by the service',
    )
    .option(
      '-e, --expires <time>',
      'time to live, in whole seconds: 30s, 15m, 12h, 30d',
      readTokenTime,
      '12h',
    )
    .action((options: OutputOptions & CreateOptions) =>
      runCommand(options, async (terminal) => {
        const { createToken } = await import('../token-run.js');
        createToken(options, configOf(command), terminal);
      }),
    );
  withOutput(command.command('inspect'))
    .description('say what a token says, whether a service with these settings takes it, and if not, why')
    .argument('[token]', 'the token; - or nothing: read from standard input')
    .action((token: string | undefined, options: OutputOptions) =>
      runCommand(options, async (terminal) => {
        const { inspectToken } = await import('../token-run.js');
        const isRead = token === undefined || token === '-';
        const given = (isRead ? await textOfStdin('the token') : token).trim();
        if (given === '')
          throw usageError(
            isRead ? 'there is no token: standard input is empty' : 'the token is empty',
            'rtc token create --user ann | rtc token inspect',
          );
        if (/^bearer$/i.test(given))
          throw usageError('there is only the word Bearer, and no token behind it');
        return inspectToken(given, configOf(command), terminal);
      }),
    );
  return command;
}
