import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { redisAddressOf } from '../config/redis-address.js';
import type { Settings } from '../config/schema.js';
import { databaseMark } from '../storage/redis/database.js';
import { aclLine } from '../storage/redis/redis-acl.js';

interface AclOptions {
  readonly user?: string;
  readonly namespace: readonly string[];
  readonly redisVersion: string;
}

/** `rtc redis`: for those who run Redis. */
export function redisCommand(load: () => Settings): Command {
  const command = new Command('redis').description('What the service needs of Redis.');
  command
    .command('acl')
    .description(
      'print the line that makes a user of Redis with the rights that the service needs, and no others',
    )
    .option('-u, --user <name>', 'name of the user; else that of REDIS_URL, else rtc')
    .option('-n, --namespace <name...>', 'namespaces of Socket.IO that a program uses', ['/'])
    .option('--redis-version <version>', 'version of Redis: from 7.2 on there is a command more', '7.0')
    .action((options: AclOptions) => printAcl(load(), options));
  return command;
}

/** The line goes to standard output, for `rtc redis acl | redis-cli`. A password that was made for it goes to standard error. */
function printAcl({ redis }: Settings, { user, namespace, redisVersion }: AclOptions): void {
  const { username: known, password: given } = redisAddressOf(redis) ?? {};
  const username = user ?? known ?? 'rtc';
  const password = given ?? randomBytes(24).toString('base64url');
  const { keyPrefix } = redis;
  const namespaces = [...new Set(['/', ...namespace])];
  console.log(
    aclLine({
      username,
      password,
      keyPrefix,
      channelMark: databaseMark(redis.url),
      namespaces,
      redisVersion,
    }),
  );
  if (given === undefined || user !== undefined)
    process.stderr.write(
      `then: REDIS_URL=redis://${username}:${given === undefined ? password : '…'}@host:6379\n`,
    );
}
