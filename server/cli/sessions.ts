import { createReadStream } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { SettingsError } from '../config/load.js';
import { parseRedisUrl } from '../config/redis-url.js';
import type { Settings } from '../config/schema.js';
import { SessionRestore, type RestoreProgress } from '../sessions/backup/session-restore.js';
import { BackupError } from '../sessions/backup/backup-reader.js';
import { assertWritable, writeAtomically } from './atomic-file.js';
import { cannotRead, cannotWrite, CliError, usageError } from './cli-error.js';
import { exitCodes as common, type ExitCode } from './exit-codes.js';
import { progressDisplay } from './progress-display.js';
import { RestoreCheckpoint } from './restore-checkpoint.js';
import { addressOf } from './target/target.js';
import type { Terminal } from './terminal.js';
import { sessionsAt, sessionsInRedis, type SessionSource } from './session-source.js';

export interface PlaceOptions {
  readonly url?: string;
  readonly token?: string;
  readonly redis?: string;
  readonly quiet?: true;
  readonly json?: true;
  /** Until an answer begins, in milliseconds, with `--url`. */
  readonly timeout: number;
}

export interface RestoreOptions extends PlaceOptions {
  readonly overwrite?: true;
  readonly resume?: true;
}

/** Those of `rtc`, with a meaning of 3 of its own. */
const invalidSessions = 3;

/** Sessions between two writes of the progress file for `--resume`. */
const checkpointEvery = 5000;

/** `rtc sessions backup`. Resolves to the exit code. @throws CliError, SettingsError */
export async function backupSessions(
  file: string,
  options: PlaceOptions,
  load: () => Settings,
  terminal: Terminal,
): Promise<ExitCode> {
  await assertWritable(file).catch((error: unknown) => cannotWrite(file, error));
  return run(options, load, (place) => backup(place, file, options, terminal));
}

/** `rtc sessions restore`. Resolves to the exit code. @throws CliError, SettingsError */
export async function restoreSessions(
  file: string,
  options: RestoreOptions,
  load: () => Settings,
  terminal: Terminal,
): Promise<ExitCode> {
  await assertReadable(file).catch((error: unknown) => cannotRead(file, error));
  return run(options, load, (place) => restore(place, file, options, terminal));
}

/** Before anything is connected. */
async function assertReadable(file: string): Promise<void> {
  if ((await stat(file)).isDirectory()) throw Object.assign(new Error('a directory'), { code: 'EISDIR' });
  await access(file, constants.R_OK);
}

async function run(
  options: PlaceOptions,
  load: () => Settings,
  work: (place: SessionSource) => Promise<ExitCode>,
): Promise<ExitCode> {
  let place: SessionSource | undefined;
  try {
    place = await open(options, load);
    return await work(place);
  } catch (error) {
    if (error instanceof CliError || error instanceof SettingsError) throw error;
    throw new CliError((error as Error).message, common.failed, 'failed');
  } finally {
    await place?.close();
  }
}

async function open(options: PlaceOptions, load: () => Settings): Promise<SessionSource> {
  if (options.url !== undefined) {
    if (options.redis !== undefined) throw usageError('--url and --redis: choose one of them');
    const url = addressOf(options.url);
    const token = options.token ?? process.env['TOKEN'];
    if (!token) throw usageError('--url needs --token, or the variable TOKEN');
    return sessionsAt(url, { token, timeoutMs: options.timeout });
  }
  if (options.token !== undefined) throw usageError('--token is for --url');
  const settings = load();
  const redis = options.redis ?? settings.redis.url;
  if (redis === undefined)
    throw usageError(
      'redis.url: there is no address of Redis',
      'set REDIS_URL, or give --redis, or --url to go through the service',
    );
  if (parseRedisUrl(redis) === undefined)
    throw usageError('--redis: must be an address like redis://host:6379');
  return sessionsInRedis(redis, settings);
}

async function backup(
  place: SessionSource,
  file: string,
  { quiet }: PlaceOptions,
  terminal: Terminal,
): Promise<ExitCode> {
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
    terminal.note('interrupted: nothing was written');
    return common.interrupted;
  } finally {
    display.end();
    process.off('SIGINT', onInterrupt);
  }
  terminal.result({ file, sessions }, () => (quiet ? '' : `${sessions} sessions backed up`));
  return common.done;
}

async function restore(
  place: SessionSource,
  file: string,
  options: RestoreOptions,
  terminal: Terminal,
): Promise<ExitCode> {
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
      terminal.note(`interrupted: ${summary(work.progress)}; continue with --resume`);
      return common.interrupted;
    }
  } catch (error) {
    display.end();
    const { message } = error as Error;
    // What is no backup is a wrong argument: nothing was done.
    if (work.progress.handled === 0 && error instanceof BackupError)
      throw usageError(`${file}: ${message}`, 'give a file that rtc sessions backup wrote');
    if (work.progress.handled > 0) await checkpoint.write(work.progress);
    const code = error instanceof CliError ? error.code : 'failed';
    throw new CliError(
      `${message}; before that ${summary(work.progress)}`,
      common.failed,
      code,
      work.progress.handled > 0 ? 'when that is mended: --resume goes on from there' : undefined,
    );
  } finally {
    display.end();
    source.destroy();
    process.off('SIGINT', onInterrupt);
  }
  await checkpoint.remove();
  return report(work.progress, options, terminal);
}

function report(progress: RestoreProgress, { quiet }: RestoreOptions, terminal: Terminal): ExitCode {
  for (const { index, id, field, rule } of progress.errors) {
    const name = id === undefined ? '' : ` (${id})`;
    terminal.note(`session ${index}${name}: ${field === '' ? '' : `${field}: `}${rule}`);
  }
  const more = progress.invalid - progress.errors.length;
  if (more > 0) terminal.note(`and ${more} more that are not valid`);
  const { restored, kept, invalid, errors } = progress;
  terminal.result({ restored, kept, invalid, errors }, () => (quiet ? '' : summary(progress)));
  return progress.invalid > 0 ? invalidSessions : common.done;
}

function summary({ restored, kept, invalid }: RestoreProgress): string {
  return `${restored} sessions restored, ${kept} kept because they are newer, ${invalid} not valid`;
}
