import { stringify } from '../protocol/exact-json.js';
import { fileProblem } from './cli-error.js';
import { exitCodes, type ExitCode } from './exit-codes.js';
import { jsonLine, printableLines } from './text-table.js';

/** What a command writes to: results to stdout, everything else to stderr. */
export interface Terminal {
  /** Whether the results are JSON. */
  readonly isJson: boolean;
  /** Writes a result: as one line of JSON, or in words. */
  result(value: unknown, inWords: () => string): void;
  /** Writes progress, or what is wrong. Not a result. */
  note(text: string): void;
  /** Colours of stdout; they change nothing without a terminal, with `NO_COLOR`, and in JSON. */
  readonly paint: Paint;
}

export interface Paint {
  red(text: string): string;
  yellow(text: string): string;
  green(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

interface TerminalStreams {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown };
}

/** A terminal for the streams of this process. */
export function terminal(
  { json = false }: { readonly json?: boolean | undefined },
  { stdout, stderr }: TerminalStreams = process,
  environment: NodeJS.ProcessEnv = process.env,
): Terminal {
  const isColoured =
    !json && stdout.isTTY === true && !isSet(environment['NO_COLOR']) && environment['TERM'] !== 'dumb';
  return {
    isJson: json,
    result: (value, inWords) => {
      // Also for JSON: what has another form than it should is not printed as a result.
      const words = inWords();
      const text = json ? jsonLine(stringify(value)) : printableLines(words, { colours: isColoured });
      if (text !== '') stdout.write(`${text}\n`);
    },
    note: (text) => void stderr.write(`${printableLines(text, { colours: false })}\n`),
    paint: paintOf(isColoured),
  };
}

/** https://no-color.org: any text but the empty one. */
function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}

function paintOf(isColoured: boolean): Paint {
  const in_ = (code: number) => (text: string) => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { red: in_(31), yellow: in_(33), green: in_(32), dim: in_(2), bold: in_(1) };
}

/**
 * A reader that has seen enough (`rtc tail news | head`) closes the pipe: that is no error. Where a result cannot be written otherwise, as on a full
 * disk, the process ends with `failedCode`.
 */
export function endWithReader(
  failedCode: () => ExitCode,
  { stdout, stderr }: Pick<NodeJS.Process, 'stdout' | 'stderr'> = process,
): void {
  // Progress without a reader is no error either.
  stderr.on('error', () => {});
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.done);
    stderr.write(`standard output cannot be written: ${fileProblem(error)}\n`);
    process.exit(failedCode());
  });
}
