import { Command } from 'commander';
import { readUserName, readVersion } from '../arguments.js';
import { configOf, runCommand } from '../run-command.js';
import type { AclOptions } from '../redis.js';

/** `rtc redis`: for those who run Redis. */
export function redisCommand(): Command {
  const command = new Command('redis').description('what the service needs of Redis');
  command
    .command('acl')
    .description(
      'print the line that makes a user of Redis with the rights that the service needs, and no others',
    )
    .option('-u, --user <name>', 'name of the user; else that of REDIS_URL, else rtc', readUserName)
    .option('-n, --namespace <name...>', 'namespaces of Socket.IO that a program uses', ['/'])
    .option(
      '--redis-version <version>',
      'version of Redis: from 7.2 on there is a command more',
      readVersion,
      '7.0',
    )
    .action((options: AclOptions) =>
      runCommand({}, async () => {
        const { printAcl } = await import('../redis.js');
        const { loadSettings } = await import('../../config/load.js');
        printAcl(loadSettings(process.env, configOf(command)), options);
      }),
    );
  return command;
}
