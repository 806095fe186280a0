import { Command } from 'commander';
import { readText, timeOption } from '../arguments.js';
import { configOf, runCommand } from '../run-command.js';
import type { PlaceOptions, RestoreOptions } from '../sessions.js';

/** `rtc sessions backup` and `rtc sessions restore`. */
export function sessionsCommand(): Command {
  const command = new Command('sessions').description('back up and restore the sessions of clients');
  const load = async () => {
    const { loadSettings } = await import('../../config/load.js');
    return () => loadSettings(process.env, configOf(command));
  };
  placed(command.command('backup'), { defaultMs: 10_000, text: '10s' })
    .description('write all sessions to a file; the file is written completely or not at all')
    .argument('<file>', 'for example sessions.json')
    .action((file: string, options: PlaceOptions) =>
      runCommand(options, async (terminal) => {
        const { backupSessions } = await import('../sessions.js');
        return backupSessions(file, options, await load(), terminal);
      }),
    );
  // Each request stores some thousand sessions.
  placed(command.command('restore'), { defaultMs: 60_000, text: '1m' })
    .description(
      'write the sessions of a backup, or of a plain JSON array; each is good for sessions.ttl_secs',
    )
    .argument('<file>', 'what rtc sessions backup or GET /admin/sessions/backup wrote')
    .option('--overwrite', 'also where the stored session is newer')
    .option('--resume', 'continue where an interrupted restore of this file ended (<file>.progress)')
    .action((file: string, options: RestoreOptions) =>
      runCommand(options, async (terminal) => {
        const { restoreSessions } = await import('../sessions.js');
        return restoreSessions(file, options, await load(), terminal);
      }),
    );
  return command;
}

function placed(
  command: Command,
  { defaultMs, text }: { readonly defaultMs: number; readonly text: string },
): Command {
  return command
    .option(
      '--redis <url>',
      'go to this Redis; else to REDIS_URL of the settings. The service may be down',
      readText,
    )
    .option('--url <url>', 'go through the admin API of a replica instead: http://localhost:8081', readText)
    .option('-t, --token <token>', 'token of an admin, with --url; else the variable TOKEN', readText)
    .addOption(
      timeOption('--timeout <time>', 'until an answer begins, with --url', { most: '1h' }).default(
        defaultMs,
        text,
      ),
    )
    .option('-q, --quiet', 'no progress and no result, only errors')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      [
        '',
        'Ends with 0: done; 1: failed, where a message says how far it came; 2: an option, a setting or the file is wrong, and nothing was done;',
        '3: done, except for sessions that are not valid (listed); 130: interrupted by Ctrl-C.',
      ].join('\n'),
    );
}
