import { text } from 'node:stream/consumers';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { usageError } from '../cli-error.js';
import { runCommand, withOutput, type OutputOptions } from '../run-command.js';
import { profilesPath, readProfiles, writeProfiles, type Profile } from '../target/profiles.js';
import { addressOf } from '../target/target.js';
import { textTable } from '../text-table.js';

interface AddOptions extends OutputOptions {
  readonly token?: string;
  readonly tokenFile?: string;
}

/** `rtc profile`: services by name, with their tokens. */
export function profileCommand(): Command {
  const command = new Command('profile')
    .description('keep addresses and tokens of services under names')
    .addHelpText(
      'after',
      `\nThe profiles are in ${profilesPath() ?? '~/.config/rtc/profiles.json'}, which only you can read.`,
    );
  withOutput(command.command('list', { isDefault: true }))
    .description('list the profiles; * is the one in use')
    .action((options: OutputOptions) =>
      runCommand(options, (terminal) => {
        const { current = null, profiles } = readProfiles();
        const shown = Object.entries(profiles).map(([name, profile]) => shownProfile(name, profile));
        terminal.result({ current, profiles: shown }, () =>
          shown.length === 0
            ? 'there are no profiles: rtc profile add'
            : textTable(
                ['', 'NAME', 'URL', 'TOKEN'],
                shown.map(({ name, url, token }) => [name === current ? '*' : '', name, url, token]),
              ),
        );
      }),
    );
  withOutput(command.command('add'))
    .description('add or replace a profile; the first one is used from now on')
    .argument('<name>', 'name of the profile')
    .argument('<url>', 'address of a replica, or of the balancer before them')
    .option('-t, --token <token>', 'the token; - reads it from standard input')
    .option('--token-file <file>', 'a file with the token, which is read at each use')
    .action((name: string, url: string, options: AddOptions) =>
      runCommand(options, async (terminal) => {
        if (options.token !== undefined && options.tokenFile !== undefined)
          throw usageError('--token and --token-file: choose one of them');
        const { current, profiles } = readProfiles();
        const token = options.token === '-' ? (await text(process.stdin)).trim() : options.token;
        const profile: Profile = {
          url: addressOf(url),
          ...(token !== undefined && { token }),
          ...(options.tokenFile !== undefined && { tokenFile: resolve(options.tokenFile) }),
        };
        await writeProfiles({ current: current ?? name, profiles: { ...profiles, [name]: profile } });
        terminal.result(shownProfile(name, profile), () => `${name} is ${profile.url}`);
      }),
    );
  withOutput(command.command('use'))
    .description('use a profile where no other address is given')
    .argument('<name>', 'name of the profile')
    .action((name: string, options: OutputOptions) =>
      runCommand(options, async (terminal) => {
        const { profiles } = readProfiles();
        const profile = existing(profiles, name);
        await writeProfiles({ current: name, profiles });
        terminal.result(shownProfile(name, profile), () => `${name} is in use: ${profile.url}`);
      }),
    );
  withOutput(command.command('remove'))
    .description('remove a profile, with its token')
    .argument('<name>', 'name of the profile')
    .action((name: string, options: OutputOptions) =>
      runCommand(options, async (terminal) => {
        const { current, profiles } = readProfiles();
        const { [name]: removed, ...rest } = { ...profiles };
        existing(profiles, name);
        await writeProfiles({
          ...(current !== undefined && current !== name && { current }),
          profiles: rest,
        });
        terminal.result(shownProfile(name, removed!), () => `${name} is removed`);
      }),
    );
  return command;
}

function existing(profiles: Readonly<Record<string, Profile>>, name: string): Profile {
  const profile = profiles[name];
  if (profile === undefined) throw usageError(`there is no profile ${name}`, 'rtc profile list shows them');
  return profile;
}

/** Tokens are not shown. */
function shownProfile(
  name: string,
  { url, token, tokenFile }: Profile,
): { readonly name: string; readonly url: string; readonly token: string } {
  return {
    name,
    url,
    token: tokenFile !== undefined ? `file ${tokenFile}` : token === undefined ? 'none' : 'kept',
  };
}
