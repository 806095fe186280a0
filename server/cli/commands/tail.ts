import { Command, Option } from 'commander';
import { anyCount, readPosition, timeOption, wholeOption } from '../arguments.js';
import type { TailOptions } from './tail-run.js';
import { runWithService, withTarget, type ServiceOptions } from '../run-command.js';

/** `rtc tail` */
export function tailCommand(): Command {
  const command = new Command('tail')
    .description('print the messages of topics as they come; goes on where it was after a lost connection')
    .argument('<topic...>', 'topics')
    .addOption(wholeOption('-n, --count <n>', 'end after this many messages', anyCount))
    .addOption(timeOption('--for <time>', 'end after this time: 500ms, 2s, 5m'))
    .addOption(
      new Option('--since <epoch:sequence>', 'begin after this position of the one topic').argParser(
        readPosition,
      ),
    );
  return withTarget(command, 'user').action((topics: string[], options: ServiceOptions & TailOptions) =>
    runWithService(command, options, 'user', async (context) => {
      const { tail } = await import('./tail-run.js');
      return tail(topics, options, context);
    }),
  );
}
