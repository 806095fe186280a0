import { Command } from 'commander';
import { version } from '../../shared/version.js';
import { completionCommand } from './commands/completion.js';
import { configCommand, configDocumentCommands } from './commands/config.js';
import { emergencyCommand } from './commands/emergency.js';
import { doctorCommand } from './commands/doctor.js';
import { decodeCommand } from './commands/decode.js';
import { connectionsCommand, topicsCommand } from './commands/lists.js';
import { loadTestCommand } from './commands/load-test.js';
import { profileCommand } from './commands/profile.js';
import { historyCommand, traceCommand } from './commands/read-log.js';
import { redisCommand } from './commands/redis.js';
import { directCommand, publishCommand } from './commands/send.js';
import { sessionsCommand } from './commands/sessions.js';
import { startCommand } from './commands/start.js';
import { tailCommand } from './commands/tail.js';
import { tokenCommand } from './commands/token.js';
import { topCommand } from './commands/top.js';
import { whyCommand } from './commands/why.js';
import { connectCommand } from './connect.js';

/**
 * Every command of `rtc`. The definitions load nothing but commander and ws; what a command needs is loaded when it runs, so that `rtc tail` does
 * not load the service.
 */
export function program(): Command {
  const rtc = new Command('rtc')
    .description('Commands for operators of the service, and for those who write clients.')
    .version(`rtc ${version}`, '-v, --version', 'print the version of rtc')
    .option('-c, --config <file>', 'settings file; else RTC_CONFIG, else rtc.toml if there is one');
  const commands = [
    startCommand(),
    configCommand(),
    ...configDocumentCommands(),
    tokenCommand(),
    decodeCommand(),
    profileCommand(),
    connectCommand(),
    tailCommand(),
    publishCommand(),
    directCommand(),
    historyCommand(),
    traceCommand(),
    whyCommand(),
    topicsCommand(),
    connectionsCommand(),
    sessionsCommand(),
    redisCommand(),
    doctorCommand(),
    emergencyCommand(),
    loadTestCommand(),
    topCommand(),
    completionCommand(rtc),
  ];
  for (const command of commands) rtc.addCommand(command);
  rtc
    .command('cli-table')
    .description('print the reference of docs/cli.md')
    .action(async () => console.log((await import('./describe-commands.js')).commandReference(rtc)));
  return rtc;
}
