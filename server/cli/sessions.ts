import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { SettingsError } from '../config/load.js';
import { parseRedisUrl } from '../config/redis-url.js';
import type { Settings } from '../config/schema.js';
import { SessionRestore, type RestoreProgress } from '../sessions/backup/session-restore.js';
import { writeAtomically } from './atomic-file.js';
import { progressDisplay } from './progress-display.js';
import { RestoreCheckpoint } from './restore-checkpoint.js';
import { sessionsAt, sessionsInRedis, type SessionSource } from './session-source.js';

export interface PlaceOptions {
  readonly url?: string;
  readonly token?: string;
  readonly redis?: string;
  readonly quiet?: true;
  readonly json?: true;
}

export interface RestoreOptions extends PlaceOptions {
  readonly overwrite?: true;
  readonly resume?: true;
}

const exitCodes = { done: 0, failed: 1, settings: 2, invalidSessions: 3, interrupted: 130 } as const;

/** Sessions between two writes of the progress file for `--resume`. */
const checkpointEvery = 5000;

/** `rtc sessions backup`. Resolves to the exit code. */
export function backupSessions(file: string, options: PlaceOptions, load: () => Settings): Promise<number> {
  return run(options, load, (place) => backup(place, file, options));
}

/** `rtc sessions restore`. Resolves to the exit code. */
export function restoreSessions(
  file: string,
  options: RestoreOptions,
  load: () => Settings,
): Promise<number> {
  return run(options, load, (place) => restore(place, file, options));
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

async function backup(place: SessionSource, file: string, { quiet, json }: PlaceOptions): Promise<number> {
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
  if (json) console.log(JSON.stringify({ file, sessions }));
  else if (!quiet) console.log(`${sessions} sessions backed up`);
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

function report(progress: RestoreProgress, { quiet, json }: RestoreOptions): number {
  for (const { index, id, field, rule } of progress.errors) {
    const name = id === undefined ? '' : ` (${id})`;
    process.stderr.write(`session ${index}${name}: ${field === '' ? '' : `${field}: `}${rule}\n`);
  }
  const more = progress.invalid - progress.errors.length;
  if (more > 0) process.stderr.write(`and ${more} more that are not valid\n`);
  const { restored, kept, invalid, errors } = progress;
  if (json) console.log(JSON.stringify({ restored, kept, invalid, errors }));
  else if (!quiet) console.log(summary(progress));
  return progress.invalid > 0 ? exitCodes.invalidSessions : exitCodes.done;
}

function summary({ restored, kept, invalid }: RestoreProgress): string {
  return `${restored} sessions restored, ${kept} kept because they are newer, ${invalid} not valid`;
}
