import { exitCodes, type ExitCode } from './exit-codes.js';

/** Ends a command: the text is printed to stderr, with `--json` the error also to stdout. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    message: string,
    readonly exitCode: ExitCode,
    /** As in docs/errors.md; `usage` and `unreachable` are errors of `rtc` itself. */
    readonly code: string,
    /** What to do about it. */
    readonly remedy?: string,
  ) {
    super(message);
  }
}

/** An argument or a setting is wrong. */
export function usageError(message: string, remedy?: string): CliError {
  return new CliError(message, exitCodes.usage, 'usage', remedy);
}

/** The service does not answer. */
export function unreachableError(message: string): CliError {
  const remedy = 'is the address right (--url), and is the service running? rtc doctor looks further';
  return new CliError(message, exitCodes.unreachable, 'unreachable', remedy);
}

/** What has answered is not the service, or one that this `rtc` does not know. */
export function strangeAnswerError(url: string, what: string): CliError {
  return new CliError(
    `${url} answers with something that is not of the service: ${what}`,
    exitCodes.failed,
    'bad_answer',
    'look at the address (--url), at what the proxy before it does, and at the version of the service: /health',
  );
}

/** A file cannot be written. @throws CliError */
export function cannotWrite(file: string, error: unknown): never {
  throw usageError(`${file} cannot be written: ${(error as Error).message}`);
}
