import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { readText, timeOption } from '../arguments.js';
import { usageError } from '../cli-error.js';
import type { DoctorOptions } from '../doctor/doctor-run.js';
import { doctorExit } from '../doctor/report.js';
import { configOf, noteError, targetOf, withTarget, type ServiceOptions } from '../run-command.js';
import type { RedisTls } from '../../storage/redis/redis-tls.js';
import { addressOf } from '../target/target.js';
import { terminal } from '../terminal.js';

interface Options extends ServiceOptions, DoctorOptions {
  readonly adminToken?: string;
}

const several = (value: string, before: readonly string[]) => [...before, ...value.split(',')];

/** `rtc doctor` */
export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('look at everything that can be wrong with a service, and say what to do')
    .option(
      '--admin-token <token>',
      'token of an operator, with which it looks; else ADMIN_TOKEN, else the profile, else one it signs',
      readText,
    )
    .addOption(
      new Option(
        '--replica <url...>',
        'single replicas: messages go from each to each, and their settings are compared',
      ).default([]),
    )
    .addOption(
      new Option('--only <names>', 'these groups and codes only, with commas').default([]).argParser(several),
    )
    .addOption(new Option('--skip <names>', 'without these groups and codes').default([]).argParser(several))
    .addOption(
      timeOption('--wait <time>', 'look again until nothing fails, for at most this time', { most: '1d' }),
    )
    .addOption(
      timeOption('--idle <time>', 'keep a connection idle for this time, to find a proxy that closes it', {
        most: '1d',
      }),
    )
    .option('--redis <url>', 'also look at Redis itself: "$REDIS_URL"', readText)
    .option('--save <file>', 'write what was seen to a file, without tokens', readText)
    .option('--from <file>', 'judge what --save has written, without a service', readText)
    .addOption(
      new Option('--format <form>', 'form of the report')
        .choices(['text', 'nagios', 'prometheus'])
        .default('text'),
    )
    .addHelpText(
      'after',
      '\nEnds with 0: all well; 1: warnings; 2: failures; 3: it could not look (wrong arguments, a file that cannot be read).',
    );
  return withTarget(command, 'user').action(async (options: Options) => {
    const out = terminal(options);
    try {
      if (options.json && command.getOptionValueSource('format') === 'cli')
        throw usageError('--json and --format: choose one of them');
      const { doctor } = await import('../doctor/doctor-run.js');
      const targets = async () => {
        const user = await targetOf(command, options, 'user');
        const operator = await operatorOf(command, options);
        return {
          user,
          operator: operator.token === undefined ? { ...user } : operator,
          timeoutMs: options.timeout,
          redisTls: options.redis === undefined ? {} : await redisTlsOf(options.redis, configOf(command)),
        };
      };
      const replica = options.replica.map(addressOf);
      process.exitCode = await doctor({ ...options, replica }, targets, out);
    } catch (error) {
      process.exitCode = doctorExit.unknown;
      try {
        noteError(error, out);
      } catch (bug) {
        out.note((bug as Error).stack ?? String(bug));
      }
    }
  });
}

/**
 * What the settings of this machine say of TLS with Redis; they are loaded only where they may say something.
 *
 * @throws CliError if this is no address that can be looked at
 */
async function redisTlsOf(url: string, config: string | undefined): Promise<RedisTls> {
  const { parseRedisUrl } = await import('../../config/redis-url.js');
  const address = parseRedisUrl(url);
  if (address === undefined)
    throw usageError('--redis is no address of Redis', 'give one like redis://host:6379');
  if (address.masterName !== undefined)
    throw usageError(
      '--redis is an address of Sentinel: give that of the primary',
      `redis-cli -h SENTINEL -p 26379 sentinel get-master-addr-by-name ${address.masterName}`,
    );
  if (!address.isTls) return {};
  const hasSettings =
    config !== undefined ||
    existsSync('rtc.toml') ||
    Object.entries(process.env).some(
      ([name, value]) => value && (name === 'RTC_CONFIG' || name.startsWith('RTC_REDIS_TLS_')),
    );
  if (!hasSettings) return {};
  const [{ loadSettings }, { readRedisTls }] = await Promise.all([
    import('../../config/load.js'),
    import('../../storage/redis/redis-tls.js'),
  ]);
  return readRedisTls(loadSettings(process.env, config).redis);
}

/** The variable `TOKEN` is that of the user. */
function operatorOf(
  command: Command,
  { adminToken, token: _user, ...options }: Options,
): ReturnType<typeof targetOf> {
  const given = adminToken === undefined ? {} : { token: adminToken };
  return targetOf(command, { ...options, ...given }, 'operator', { ...process.env, TOKEN: '' });
}
