import { Command, Option } from 'commander';
import { configOf, runCommand, withOutput, type OutputOptions } from '../run-command.js';

/** `rtc config`: shows, checks and explains the settings. */
export function configCommand(): Command {
  const config = new Command('config').description('print, check or explain the settings');
  withOutput(config.command('print', { isDefault: true }))
    .description('print the settings in force (secrets left out), or say what is wrong with them')
    .action((options: OutputOptions) =>
      runCommand(options, async (terminal) => {
        const { printSettings } = await import('../config-run.js');
        printSettings(configOf(config), terminal);
      }),
    );
  withOutput(config.command('check'))
    .description(
      'say whether the settings are valid, and what they lack of a profile (then with exit code 1)',
    )
    .addOption(new Option('--profile <name>', 'compare with this profile').choices(['hardened']))
    .action((options: OutputOptions & { profile?: 'hardened' }) =>
      runCommand(options, async (terminal) => {
        const { checkSettings } = await import('../config-run.js');
        return checkSettings(configOf(config), options.profile, terminal);
      }),
    );
  withOutput(config.command('explain'))
    .description('say what a setting means, its value, and where the value comes from')
    .argument('[setting]', 'section.key, or a section; without it: every setting that is not at its default')
    .action((setting: string | undefined, options: OutputOptions) =>
      runCommand(options, async (terminal) => {
        const { explainSettings } = await import('../config-run.js');
        explainSettings(configOf(config), setting, terminal);
      }),
    );
  return config;
}

/** `rtc config-table` and `rtc config-example`: parts of the documentation. */
export function configDocumentCommands(): Command[] {
  return [
    new Command('config-table')
      .description('print the table of docs/config.md')
      .action(async () => console.log((await import('../../config/describe.js')).settingsTable())),
    new Command('config-example')
      .description('print config.example.toml')
      .action(async () => console.log((await import('../../config/example.js')).exampleFile())),
  ];
}
