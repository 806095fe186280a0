import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { readText, timeOption } from './arguments.js';
import { CliError, strangeAnswerError } from './cli-error.js';
import { exitCodes, type ExitCode } from './exit-codes.js';
import { resolveTarget, type Target, type TargetOptions, type TokenKind } from './target/target.js';
import { terminal, type Terminal } from './terminal.js';
import { printable } from './text-table.js';

/** Options that every command has. */
export interface OutputOptions {
  readonly json?: boolean;
}

/** Options of commands that speak with a service. */
export interface ServiceOptions extends TargetOptions, OutputOptions {
  /** Time limit of one request, in milliseconds. */
  readonly timeout: number;
}

/** What a command that speaks with a service works with. */
export interface ServiceContext {
  readonly target: Target;
  readonly terminal: Terminal;
  readonly timeoutMs: number;
}

/** Adds `--json`. */
export function withOutput(command: Command): Command {
  return command.option('--json', 'print the result as JSON');
}

/** Adds the options for address, token and output. */
export function withTarget(command: Command, kind: TokenKind): Command {
  const variables = kind === 'operator' ? 'ADMIN_TOKEN or TOKEN' : 'TOKEN';
  return withOutput(command)
    .option(
      '--url <url>',
      'address of a replica; else the variable RTC, else that of the profile in use',
      readText,
    )
    .option(
      '-t, --token <token>',
      `token of ${kind === 'operator' ? 'an operator' : 'a user'}; else the variable ${variables}, else the profile`,
      readText,
    )
    .option('--profile <name>', 'address and token of this profile: see rtc profile', readText)
    .addOption(
      timeOption('--timeout <time>', 'time limit of one request', { most: '1h' }).default(10_000, '10s'),
    );
}

/** Runs a command and sets the exit code. What goes wrong is printed. */
export async function runCommand(
  options: OutputOptions,
  work: (terminal: Terminal) => Promise<ExitCode | void> | ExitCode | void,
): Promise<void> {
  const out = terminal(options);
  // If nothing that Node waits for is left before the end: that is not success.
  process.exitCode = exitCodes.failed;
  try {
    process.exitCode = (await work(out)) ?? exitCodes.done;
  } catch (error) {
    process.exitCode = noteError(error, out);
  }
}

/** Runs a command that speaks with a service. */
export function runWithService(
  command: Command,
  options: ServiceOptions,
  kind: TokenKind,
  work: (context: ServiceContext) => Promise<ExitCode | void>,
): Promise<void> {
  return runCommand(options, async (out) => {
    const target = await targetOf(command, options, kind);
    try {
      return await work({ target, terminal: out, timeoutMs: options.timeout });
    } catch (error) {
      // What is read from an answer is not there, or no time.
      if (error instanceof TypeError || error instanceof RangeError)
        throw strangeAnswerError(target.url, error.message);
      throw error;
    }
  });
}

/** The service that the options, the variables, the profiles and the settings mean. */
export function targetOf(
  command: Command,
  options: TargetOptions,
  kind: TokenKind,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Target> {
  const config = configOf(command);
  return resolveTarget(options, kind, (wanted) => signedToken(wanted, config), environment);
}

/** `rtc --config <file>` */
export function configOf(command: Command): string | undefined {
  return command.optsWithGlobals<{ config?: string }>().config;
}

/** Settings are loaded only where they may hold a secret. */
async function signedToken(kind: TokenKind, config: string | undefined): Promise<string | undefined> {
  const variables = ['JWT_SECRET', 'RTC_AUTH_JWT_SECRET', 'RTC_CONFIG'];
  const hasSettings =
    config !== undefined || variables.some((name) => process.env[name]) || existsSync('rtc.toml');
  return hasSettings ? (await import('./target/signed-token.js')).ownToken(kind, config) : undefined;
}

/** Prints an error of a command. Resolves to its exit code. @throws what is a bug */
export function noteError(error: unknown, out: Terminal): ExitCode {
  if (error instanceof CliError) {
    const { code, message, remedy, exitCode } = error;
    // One line, whatever it quotes.
    const line = printable(message);
    out.note(remedy === undefined ? line : `${line}\n  ${printable(remedy)}`);
    if (out.isJson)
      out.result({ error: { code, message, ...(remedy !== undefined && { remedy }) } }, () => '');
    return exitCode;
  }
  // A class of the settings, which a light command does not load.
  if (error instanceof Error && error.name === 'SettingsError') {
    out.note(error.message);
    if (out.isJson) out.result({ error: { code: 'usage', message: error.message } }, () => '');
    return exitCodes.usage;
  }
  throw error;
}
