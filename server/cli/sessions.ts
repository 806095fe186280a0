import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { SettingsError } from '../config/load.js';
import { parseRedisUrl } from '../config/redis-url.js';
import type { Settings } from '../config/schema.js';
import { SessionRestore, type RestoreProgress } from '../sessions/backup/session-restore.js';
import { writeAtomically } from './atomic-file.js';
import { progressDisplay } from './progress-display.js';
import { RestoreCheckpoint } from './restore-checkpoint.js';
import { sessionsAt, sessionsInRedis, type SessionSource } from './session-source.js';

interface PlaceOptions {
  readonly url?: string;
  readonly token?: string;
  readonly redis?: string;
  readonly quiet?: true;
}

interface RestoreOptions extends PlaceOptions {
  readonly overwrite?: true;
  readonly resume?: true;
}

const exitCodes = { done: 0, failed: 1, settings: 2, invalidSessions: 3, interrupted: 130 } as const;

/** Sessions between two writes of the progress file for `--resume`. */
const checkpointEvery = 5000;

/** `rtc sessions backup` and `rtc sessions restore`. */
export function sessionsCommand(load: () => Settings): Command {
  const command = new Command('sessions').description('back up and restore the sessions of clients');
  placed(command.command('backup'))
    .description('write all sessions to a file; the file is written completely or not at all')
    .argument('<file>', 'for example sessions.json')
    .action(async (file: string, options: PlaceOptions) => {
      process.exitCode = await run(options, load, (place) => backup(place, file, options));
    });
  placed(command.command('restore'))
    .description(
      'write the sessions of a backup, or of a plain JSON array; each is good for sessions.ttl_secs',
    )
    .argument('<file>', 'what rtc sessions backup or GET /admin/sessions/backup wrote')
    .option('--overwrite', 'also where the stored session is newer')
    .option('--resume', 'continue where an interrupted restore of this file ended (<file>.progress)')
    .action(async (file: string, options: RestoreOptions) => {
      process.exitCode = await run(options, load, (place) => restore(place, file, options));
    });
  return command;
}

function placed(command: Command): Command {
  return command
    .option('--redis <url>', 'go to this Redis; else to REDIS_URL of the settings. The service may be down')
    .option('--url <url>', 'go through the admin API of a replica instead: http://localhost:8081')
    .option('-t, --token <token>', 'token of an admin, with --url; else the variable TOKEN')
    .option('-q, --quiet', 'no progress and no result, only errors')
    .addHelpText(
      'after',
      [
        '',
        'Ends with 0: done; 1: failed, where a message says how far it came; 2: an option or a setting is wrong;',
        '3: done, except for sessions that are not valid (listed); 130: interrupted by Ctrl-C.',
      ].join('\n'),
    );
}

async function run(
  options: PlaceOptions,
  load: () => Settings,
  work: (place: SessionSource) => Promise<number>,
): Promise<number> {
  let place: SessionSource | undefined;
  try {
    place = await open(options, load);
    return await work(place);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return error instanceof SettingsError ? exitCodes.settings : exitCodes.failed;
  } finally {
    await place?.close();
  }
}

async function open(options: PlaceOptions, load: () => Settings): Promise<SessionSource> {
  if (options.url !== undefined) {
    if (options.redis !== undefined) throw new SettingsError(['--url and --redis: choose one of them']);
    if (!URL.canParse(options.url))
      throw new SettingsError(['--url: must be an address like http://host:8081']);
    const token = options.token ?? process.env['TOKEN'];
    if (!token) throw new SettingsError(['--url needs --token, or the variable TOKEN']);
    return sessionsAt(options.url, token);
  }
  const settings = load();
  const redis = options.redis ?? settings.redis.url;
  if (redis === undefined) {
    throw new SettingsError([
      'redis.url: there is no address of Redis: set REDIS_URL, or give --redis, or --url to go through the service',
    ]);
  }
  if (parseRedisUrl(redis) === undefined)
    throw new SettingsError(['--redis: must be an address like redis://host:6379']);
  return sessionsInRedis(redis, settings);
}

async function backup(place: SessionSource, file: string, { quiet }: PlaceOptions): Promise<number> {
  const display = progressDisplay({ quiet: quiet === true });
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  process.once('SIGINT', onInterrupt);
  let sessions = 0;
  const text = place.backup((count) => {
    sessions = count;
    display.update(count);
  });
  try {
    await writeAtomically(file, text, interrupt.signal);
  } catch (error) {
    display.end();
    if (!interrupt.signal.aborted) throw error;
    process.stderr.write('interrupted: nothing was written\n');
    return exitCodes.interrupted;
  } finally {
    display.end();
    process.off('SIGINT', onInterrupt);
  }
  if (!quiet) console.log(`${sessions} sessions backed up`);
  return exitCodes.done;
}

async function restore(place: SessionSource, file: string, options: RestoreOptions): Promise<number> {
  const checkpoint = new RestoreCheckpoint(file);
  const from = options.resume ? await checkpoint.read() : undefined;
  const { size } = await stat(file);
  const source = createReadStream(file);
  const display = progressDisplay({ quiet: options.quiet === true });
  let saved = from?.handled ?? 0;
  const work = new SessionRestore(
    {
      putMany: (sessions, given) => place.putMany(sessions, given),
      onBatch: async (progress) => {
        display.update(progress.handled, source.bytesRead / Math.max(1, size));
        if (progress.handled < saved + checkpointEvery) return;
        saved = progress.handled;
        await checkpoint.write(progress);
      },
    },
    {
      overwrite: options.overwrite === true,
      batchSize: place.batchSize,
      ...(from !== undefined && { from }),
    },
  );
  const onInterrupt = () => work.stop();
  process.once('SIGINT', onInterrupt);
  try {
    if (!(await work.run(source))) {
      await checkpoint.write(work.progress);
      display.end();
      process.stderr.write(`interrupted: ${summary(work.progress)}; continue with --resume\n`);
      return exitCodes.interrupted;
    }
  } catch (error) {
    display.end();
    if (work.progress.handled > 0) await checkpoint.write(work.progress);
    throw new Error(`${(error as Error).message}; before that ${summary(work.progress)}`, { cause: error });
  } finally {
    display.end();
    source.destroy();
    process.off('SIGINT', onInterrupt);
  }
  await checkpoint.remove();
  return report(work.progress, options);
}

function report(progress: RestoreProgress, { quiet }: RestoreOptions): number {
  for (const { index, id, field, rule } of progress.errors) {
    const name = id === undefined ? '' : ` (${id})`;
    process.stderr.write(`session ${index}${name}: ${field === '' ? '' : `${field}: `}${rule}\n`);
  }
  const more = progress.invalid - progress.errors.length;
  if (more > 0) process.stderr.write(`and ${more} more that are not valid\n`);
  if (!quiet) console.log(summary(progress));
  return progress.invalid > 0 ? exitCodes.invalidSessions : exitCodes.done;
}

function summary({ restored, kept, invalid }: RestoreProgress): string {
  return `${restored} sessions restored, ${kept} kept because they are newer, ${invalid} not valid`;
}
