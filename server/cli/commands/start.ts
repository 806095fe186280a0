import { join } from 'node:path';
import { Command } from 'commander';
import { configOf } from '../run-command.js';

/** `rtc start`: the service, in this process. Signals and exit codes are those of the service. */
export function startCommand(): Command {
  const command = new Command('start')
    .description('start the service in this process, as node dist/server/main.js does')
    .addHelpText(
      'after',
      '\nIts log goes to standard output. The exit codes are those of the service: see docs/deployment.md.',
    );
  return command.action(async () => {
    const file = configOf(command);
    if (file !== undefined) process.env['RTC_CONFIG'] = file;
    // The program of the service runs when it is loaded. It is above the command line, which does not import it.
    await import(join(__dirname, '..', '..', 'main.js'));
  });
}
