import { JSONParser } from '@streamparser/json-node';
import { NestingMeter } from './nesting-meter.js';
import { backupFormat, backupVersion } from './backup-writer.js';

/** The file is not a backup, or is incomplete. The message names the last complete session. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
}

/** Longest text without a session, in bytes: limits the memory that a damaged file can use. */
const sessionLimitBytes = 16 * 1024 * 1024;
/** Sessions are nested six levels deep. Other content is ignored, but must be parsed. */
const nestingLimit = 32;

/**
 * The sessions of a backup, in order, parsed but not validated. Reads the output of `backupOf`, and plain
 * arrays of sessions. The source is read in chunks, only as far as needed, and closed at the end.
 *
 * @throws BackupError if the file is damaged or ends early, after all sessions before that place; errors of
 * the source unchanged.
 */
export async function* readBackup(source: AsyncIterable<Uint8Array>): AsyncGenerator<unknown> {
  let reader: BackupReader | undefined;
  const nesting = new NestingMeter();
  let silentBytes = 0;
  for await (const chunk of source) {
    if (reader === undefined) {
      const [opening] = Buffer.from(chunk).toString('utf8').trimStart();
      if (opening === undefined) continue;
      reader = new BackupReader(opening);
    }
    const tooDeepAt = nesting.placeBeyond(nestingLimit, chunk);
    await reader.write(tooDeepAt === undefined ? chunk : chunk.subarray(0, tooDeepAt));
    silentBytes = reader.found.length > 0 ? 0 : silentBytes + chunk.length;
    yield* reader.take();
    if (tooDeepAt !== undefined) reader.fail(`nested deeper than ${nestingLimit}`);
    if (silentBytes > sessionLimitBytes) reader.fail(`no session within ${sessionLimitBytes} bytes`);
  }
  if (reader === undefined) throw new BackupError('the file is empty');
  await reader.end();
  yield* reader.take();
  reader.checkEnd();
}

interface Item {
  readonly key: unknown;
  readonly value: unknown;
  readonly stack: readonly unknown[];
}

/** A parser that keeps its values: the stream form would lose the values before an error. */
class CollectingParser extends JSONParser {
  readonly items: Item[] = [];

  override push(item: Item | null): boolean {
    if (item !== null) this.items.push(item);
    return true;
  }
}

class BackupReader {
  private readonly parser: CollectingParser;
  private readonly isList: boolean;
  private isBackup: boolean;
  private sessions = 0;
  private last: unknown;
  private count: unknown;
  private damage: Error | undefined;

  constructor(opening: string) {
    if (opening !== '{' && opening !== '[') throw new BackupError('this is no JSON object or array');
    this.isList = opening === '[';
    this.isBackup = this.isList;
    const paths = this.isList ? ['$.*'] : ['$.format', '$.version', '$.sessions.*', '$.count'];
    this.parser = new CollectingParser({ paths, keepStack: false });
    // `write` and `end` report the error.
    this.parser.on('error', () => {});
  }

  get found(): readonly Item[] {
    return this.parser.items;
  }

  /** Keeps an error until the values before it have been taken. */
  async write(chunk: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => {
      this.parser.write(chunk, (error) => {
        this.damage ??= error ?? undefined;
        resolve();
      });
    });
  }

  async end(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.parser.end((error?: Error | null) => {
        this.damage ??= error ?? undefined;
        resolve();
      });
    });
  }

  *take(): Generator<unknown> {
    for (const item of this.parser.items.splice(0)) {
      if (this.isList || item.stack.length > 1) {
        if (!this.isBackup) throw new BackupError('this is no backup of sessions: "format" is missing');
        this.sessions++;
        this.last = item.value;
        yield item.value;
      } else this.readHead(item);
    }
    if (this.damage !== undefined) this.fail(this.damage.message);
  }

  fail(why: string): never {
    throw new BackupError(`the backup is damaged or ends ${this.where()}`, { cause: new Error(why) });
  }

  checkEnd(): void {
    if (!this.isBackup) throw new BackupError('this is no backup of sessions');
    if (!this.isList && this.count !== this.sessions) {
      throw new BackupError(`the backup ends ${this.where()}, though it says it holds ${String(this.count)}`);
    }
  }

  private readHead({ key, value }: Item): void {
    if (key === 'format') {
      if (value !== backupFormat) throw new BackupError('this is no backup of sessions');
      this.isBackup = true;
    } else if (key === 'count') this.count = value;
    else if (key === 'version' && value !== backupVersion)
      throw new BackupError(`version ${String(value)} of the format is not known here`);
  }

  private where(): string {
    if (this.sessions === 0) return 'before the first session';
    const id = (this.last as { id?: unknown } | null)?.id;
    return `after session ${this.sessions}${typeof id === 'string' ? ` (${id.slice(0, 100)})` : ''}`;
  }
}
