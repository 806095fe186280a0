import { JSONParser } from '@streamparser/json-node';
import { NestingMeter } from './nesting-meter.js';
import { backupFormat, backupVersion } from './backup-writer.js';

/** A file that is no backup, or not a whole one. The message says after which session. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
}

/** Longest text without a session in it, in bytes: what a damaged file may make us hold. */
const sessionLimitBytes = 16 * 1024 * 1024;
/** Sessions are six deep; what else a file may hold is not read, but parsed. */
const nestingLimit = 32;

/**
 * The sessions of a backup, in order, as they were parsed: unchecked. Reads what `backupOf` writes, and a plain array of sessions; the
 * source is read no further than is asked for, a chunk at a time, and closed.
 *
 * @throws BackupError where the file is damaged or ends early, after everything before that was given; errors of the source as they are.
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

/** The parser with its values at hand: as a stream it would throw away those that stand before an error. */
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
    // Told by `write` and `end`.
    this.parser.on('error', () => {});
  }

  get found(): readonly Item[] {
    return this.parser.items;
  }

  /** Keeps an error until what stands before it was taken. */
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
