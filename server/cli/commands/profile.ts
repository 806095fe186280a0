import { text } from 'node:stream/consumers';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { readText } from '../arguments.js';
import { usageError } from '../cli-error.js';
import { runCommand, withOutput, type OutputOptions } from '../run-command.js';
import {
  profileNamed,
  profilesPath,
  readProfiles,
  tokenOfProfile,
  writeProfiles,
  type Profile,
} from '../target/profiles.js';
import type { Terminal } from '../terminal.js';
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
        for (const [name, profile] of Object.entries(profiles)) warnOf(name, profile, terminal);
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
    .argument('<name>', 'name of the profile: letters, digits, . _ -', readName)
    .argument('<url>', 'address of a replica, or of the balancer before them')
    .option('-t, --token <token>', 'the token; - reads it from standard input', readText)
    .option('--token-file <file>', 'a file with the token, which is read at each use', readText)
    .action((name: string, url: string, options: AddOptions) =>
      runCommand(options, async (terminal) => {
        if (options.token !== undefined && options.tokenFile !== undefined)
          throw usageError('--token and --token-file: choose one of them');
        const { current, profiles } = readProfiles();
        const token = options.token === '-' ? (await text(process.stdin)).trim() : options.token;
        if (token === '') throw usageError('the token from standard input is empty');
        const profile: Profile = {
          url: addressOf(url),
          ...(token !== undefined && { token }),
          ...(options.tokenFile !== undefined && { tokenFile: resolve(options.tokenFile) }),
        };
        await writeProfiles({ current: current ?? name, profiles: { ...profiles, [name]: profile } });
        terminal.result(shownProfile(name, profile), () => `${name} is ${profile.url}`);
        warnOf(name, profile, terminal);
      }),
    );
  withOutput(command.command('use'))
    .description('use a profile where no other address is given')
    .argument('<name>', 'name of the profile')
    .action((name: string, options: OutputOptions) =>
      runCommand(options, async (terminal) => {
        const { profiles } = readProfiles();
        const profile = profileNamed(name, { profiles });
        await writeProfiles({ current: name, profiles });
        terminal.result(shownProfile(name, profile), () => `${name} is in use: ${profile.url}`);
        warnOf(name, profile, terminal);
      }),
    );
  withOutput(command.command('remove'))
    .description('remove a profile, with its token')
    .argument('<name>', 'name of the profile')
    .action((name: string, options: OutputOptions) =>
      runCommand(options, async (terminal) => {
        const { current, profiles } = readProfiles();
        const removed = profileNamed(name, { profiles });
        const rest = Object.fromEntries(Object.entries(profiles).filter(([other]) => other !== name));
        await writeProfiles({
          ...(current !== undefined && current !== name && { current }),
          profiles: rest,
        });
        terminal.result(shownProfile(name, removed), () => `${name} is removed`);
      }),
    );
  return command;
}

/** A name that needs no quotes in a shell, and that is no property of every object. */
function readName(text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text))
    throw new InvalidArgumentError(
      'It has 1 to 64 letters, digits, points, underscores and hyphens, and begins with a letter or a digit.',
    );
  return text;
}

/** The file may come later: a profile without it is kept, but said. */
function warnOf(name: string, profile: Profile, terminal: Terminal): void {
  try {
    tokenOfProfile(profile);
  } catch (error) {
    terminal.note(`warning: profile ${name}: ${(error as Error).message}`);
  }
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
