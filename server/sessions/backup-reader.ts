import { pipeline } from 'node:stream';
import { JSONParser } from '@streamparser/json-node';
import { backupFormat, backupVersion } from './backup-writer.js';

/** A file that is no backup, or not a whole one. The message says after which session. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
}

/** Longest text without a session in it, in bytes: what a damaged file may make us hold. */
const sessionLimitBytes = 16 * 1024 * 1024;

/**
 * The sessions of a backup, in order, as they were parsed: unchecked. Reads what `backupOf` writes, and a plain array of
 * sessions; only so much is read as is asked for.
 *
 * @throws BackupError where the file is damaged or ends early; errors of the source as they are.
 */
export async function* readBackup(source: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  const input = new Input(source);
  const isList = (await input.opening()) === '[';
  const paths = isList ? ['$.*'] : ['$.format', '$.version', '$.sessions.*', '$.count'];
  const parser = new JSONParser({ paths, keepStack: false });
  // The parser is closed with whatever error there was; it comes out of the loop.
  pipeline(input.chunks(), parser, () => {});
  let sessions = 0;
  let last: unknown;
  let count: unknown;
  let isBackup = isList;
  const where = () =>
    sessions === 0 ? 'before the first session' : `after session ${sessions}${named(last)}`;
  try {
    for await (const item of parser as AsyncIterable<{ key: unknown; value: unknown; stack: unknown[] }>) {
      input.found();
      if (isList || item.stack.length > 1) {
        if (!isBackup) throw new BackupError('this is no backup of sessions: "format" is missing');
        yield item.value;
        last = item.value;
        sessions++;
      } else if (item.key === 'format') {
        if (item.value !== backupFormat) throw new BackupError('this is no backup of sessions');
        isBackup = true;
      } else if (item.key === 'version' && item.value !== backupVersion) {
        throw new BackupError(`version ${String(item.value)} of the format is not known here`);
      } else if (item.key === 'count') count = item.value;
    }
  } catch (error) {
    if (error instanceof BackupError) throw error;
    if (input.failure !== undefined) throw input.failure;
    throw new BackupError(`the backup is damaged or ends ${where()}`, { cause: error });
  }
  if (!isBackup) throw new BackupError('this is no backup of sessions');
  if (!isList && count !== sessions)
    throw new BackupError(`the backup ends ${where()}, though it says it holds ${String(count)}`);
}

function named(session: unknown): string {
  const id = (session as { id?: unknown } | null)?.id;
  return typeof id === 'string' ? ` (${id.slice(0, 100)})` : '';
}

/** Reads ahead to the first character, and keeps apart what is wrong with the source and with the JSON. */
class Input {
  failure: unknown;
  private readonly iterator: AsyncIterator<Uint8Array>;
  private first: Uint8Array | undefined;
  private silentBytes = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.iterator = source[Symbol.asyncIterator]();
  }

  async opening(): Promise<'{' | '['> {
    for (;;) {
      const { done, value } = await this.iterator.next();
      if (done === true) throw new BackupError('the file is empty');
      const [character] = Buffer.from(value).toString('utf8').trimStart();
      if (character === undefined) continue;
      if (character !== '{' && character !== '[') {
        await this.iterator.return?.();
        throw new BackupError('this is no JSON object or array');
      }
      this.first = value;
      return character;
    }
  }

  /** A session was read. */
  found(): void {
    this.silentBytes = 0;
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    try {
      for (let chunk = this.first; chunk !== undefined; chunk = await this.next()) {
        this.silentBytes += chunk.length;
        if (this.silentBytes > sessionLimitBytes)
          throw new Error(`no session within ${sessionLimitBytes} bytes`);
        yield chunk;
      }
    } finally {
      await this.iterator.return?.();
    }
  }

  private async next(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await this.iterator.next();
      return done === true ? undefined : value;
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }
}
