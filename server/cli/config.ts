import { Command, Option } from 'commander';
import { dangersOf, type Danger } from '../config/dangers.js';
import { publicSettings } from '../config/describe.js';
import type { Settings } from '../config/schema.js';

/** Exit code if a configuration lacks something of the profile. Invalid settings end with 2. */
const lacking = 1;

/**
 * `rtc config`: shows or checks the settings.
 *
 * @param load reads the settings, or ends the process with what is wrong with them
 */
export function configCommand(load: () => Settings): Command {
  const config = new Command('config').description('print or check the settings');
  config
    .command('print', { isDefault: true })
    .description('print the settings in force (secrets left out), or say what is wrong with them')
    .action(() => console.log(JSON.stringify(publicSettings(load()), null, 2)));
  config
    .command('check')
    .description(
      'say whether the settings are valid, and what they lack of a profile (then with exit code 1)',
    )
    .addOption(new Option('--profile <name>', 'compare with this profile').choices(['hardened']))
    .action(({ profile }: { profile?: 'hardened' }) => {
      const dangers = dangersOf(load());
      console.log(profile === undefined ? checked(dangers) : compared(dangers));
      if (profile !== undefined && dangers.length > 0) process.exitCode = lacking;
    });
  return config;
}

function checked(dangers: readonly Danger[]): string {
  return dangers.length === 0
    ? 'the settings are valid'
    : `the settings are valid; ${dangers.length} lack something of the profile hardened: see --profile hardened`;
}

/** One line per setting. */
function compared(dangers: readonly Danger[]): string {
  if (dangers.length === 0) return 'nothing is missing of the profile hardened';
  return dangers
    .map(({ setting, present, hardened, risk, remedy }) => {
      const values = `present ${JSON.stringify(present)}${hardened === undefined ? '' : `, hardened ${JSON.stringify(hardened)}`}`;
      return `${setting}: ${values} (${risk}); ${remedy}`;
    })
    .join('\n');
}
