import { Command } from 'commander';
import { configOf } from '../run-command.js';

/** `rtc decode`: shows a token. Only the signature needs a key. */
export function decodeCommand(): Command {
  const command = new Command('decode')
    .description('show what a token says, and whether a service with these settings takes it')
    .argument('<token>', 'the token')
    .addHelpText(
      'after',
      '\nEnds with 0 if it is taken, 1 if not, or if that cannot be checked. Whether it was revoked is not known here.',
    );
  return command.action(async (token: string) => {
    const { decode } = await import('../decode.js');
    const { loadSettings } = await import('../../config/load.js');
    const decoded = decode(token.trim(), () => loadSettings(process.env, configOf(command)), Date.now());
    console.log(JSON.stringify(decoded, null, 2));
    process.exitCode = decoded.verdict === 'accepted' ? 0 : 1;
  });
}
