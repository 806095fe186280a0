import { exitCodes, type ExitCode } from './exit-codes.js';
import type { ConnectionProblem } from './target/connection-problem.js';

/** Ends a command: the text is printed to stderr, with `--json` the error also to stdout. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    message: string,
    readonly exitCode: ExitCode,
    /** As in docs/errors.md; those of `rtc` itself are in docs/cli.md. */
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

/** The service does not answer. `what` begins the message: who it is, and what was tried. */
export function unreachableError(what: string, { kind, reason }: ConnectionProblem): CliError {
  const remedies: Partial<Record<ConnectionProblem['kind'], string>> = {
    no_tls: 'give its address with http:// (--url), or that of the proxy that speaks TLS',
    no_http: 'look at the port of the address (--url): another program has it',
    timeout: 'a longer --timeout waits longer; rtc doctor looks further',
  };
  return new CliError(
    `${what}: ${reason}`,
    exitCodes.unreachable,
    kind === 'timeout' ? 'timeout' : 'unreachable',
    remedies[kind] ?? 'is the address right (--url), and is the service running? rtc doctor looks further',
  );
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

/** What has answered speaks HTTP, but not as the service does: a page of a proxy, or of another program. */
export function notJsonError(url: string, status: number): CliError {
  return new CliError(
    `${url} answers ${status} with something that is no JSON: this is not the service, or a proxy answers`,
    exitCodes.failed,
    'not_json',
    'look at the address (--url), and what the proxy before it does',
  );
}

/** The address leads to another one, to which the token is not sent. */
export function redirectError(address: URL, location: string): CliError {
  const { origin } = URL.canParse(location, address.href) ? new URL(location, address) : address;
  return new CliError(
    `${address.origin} redirects to ${location}`,
    exitCodes.failed,
    'redirected',
    `give the address of the service itself: --url ${origin}`,
  );
}

/** A file cannot be written. @throws CliError */
export function cannotWrite(file: string, error: unknown): never {
  throw usageError(`${file} cannot be written: ${fileProblem(error)}`);
}

/** A file cannot be read. @throws CliError */
export function cannotRead(file: string, error: unknown): never {
  throw usageError(`${file} cannot be read: ${fileProblem(error)}`);
}

/** Why a file cannot be used, in words: the path is named before. */
export function fileProblem(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const known: Record<string, string> = {
    ENOENT: 'there is no such file or directory',
    EACCES: 'this user may not',
    EISDIR: 'it is a directory',
    ENOTDIR: 'a part of its path is not a directory',
    ENOSPC: 'the disk is full',
    EROFS: 'the disk is read-only',
  };
  const words = known[code ?? ''];
  return words === undefined ? message : `${words} (${code})`;
}
