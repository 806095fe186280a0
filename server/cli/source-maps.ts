import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { dirname, join, resolve } from 'node:path';

/** Of the compiled files. Packages that are installed show their own lines. */
const compiled = join(__dirname, '..', '..');

/** Of files that were in a stack. */
const maps = new Map<string, SourceMap | undefined>();

/** Of errors of a connection whose client has gone. */
const goneCodes: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT']);
const transferCalls: ReadonlySet<unknown> = new Set(['read', 'write']);

/**
 * Lets stacks name the lines of the TypeScript sources. The map of a file is read when the file is in a stack. Node's own option
 * `--enable-source-maps` keeps the maps of all files that are loaded, with their sources, in the heap; where it is set, it is left to Node.
 */
export function mapStacks(): void {
  if (process.sourceMapsEnabled) return;
  const textOfStack: NonNullable<typeof Error.prepareStackTrace> = (error, frames) => {
    const lines = isOfGoneClient(error) ? [] : frames.map(textOf);
    return [headOf(error), ...lines].join('\n    at ');
  };
  Error.prepareStackTrace = textOfStack;
}

/**
 * Node makes the text of the stack for each error that ends a socket, and where thousands of clients go at once, that took a tenth of the time. It would
 * name functions of Node only.
 */
function isOfGoneClient(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, syscall } = error as NodeJS.ErrnoException;
  return goneCodes.has(code) && transferCalls.has(syscall);
}

/** What was thrown may have no text, as an object without a prototype. */
function headOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return 'Error';
  }
}

function textOf(frame: NodeJS.CallSite): string {
  const text = String(frame);
  const [file, line, column] = [frame.getFileName(), frame.getLineNumber(), frame.getColumnNumber()];
  if (typeof file !== 'string' || line === null || column === null) return text;
  const entry = mapOf(file)?.findEntry(line - 1, column - 1);
  if (entry === undefined || !('originalSource' in entry)) return text;
  const source = resolve(dirname(file), entry.originalSource);
  return text.replace(
    `${file}:${line}:${column}`,
    () => `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`,
  );
}

function mapOf(file: string): SourceMap | undefined {
  if (!file.startsWith(compiled)) return undefined;
  if (!maps.has(file)) maps.set(file, readMap(`${file}.map`));
  return maps.get(file);
}

function readMap(path: string): SourceMap | undefined {
  try {
    const { sources, mappings, names, version } = JSON.parse(readFileSync(path, 'utf8')) as SourceMapPayload;
    // Without the content of the sources.
    return new SourceMap({ version, sources, mappings, names } as SourceMapPayload);
  } catch {
    return undefined;
  }
}
