import { Command } from 'commander';
import { anyCount, timeOption, wholeOption } from '../arguments.js';
import { runWithService, withTarget, type ServiceOptions } from '../run-command.js';
import type { TopOptions } from '../top/top-run.js';

/** `rtc top` */
export function topCommand(): Command {
  const command = new Command('top')
    .description('show live what the service does: rates, replicas, the busiest topics, and who sends')
    .addOption(
      timeOption('--interval <time>', 'between two looks', { least: '100ms', most: '1h' }).default(
        1000,
        '1s',
      ),
    )
    .addOption(wholeOption('-n, --count <n>', 'end after this many looks', anyCount))
    .addHelpText('after', '\nq or Ctrl-C quits.');
  return withTarget(command, 'operator').action((options: ServiceOptions & TopOptions) =>
    runWithService(command, options, 'operator', async (context) => {
      const { top } = await import('../top/top-run.js');
      return top(options, context);
    }),
  );
}
