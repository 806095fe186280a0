#!/usr/bin/env node
import './process-start.js';
import { CommanderError, type Command } from 'commander';
import { exitCodes, type ExitCode } from './exit-codes.js';
import { program } from './program.js';
import { endWithReader } from './terminal.js';
import { jsonLine, printableLines } from './text-table.js';

/** Wrong arguments end with 2, as wrong settings do; `rtc doctor` could not look, which is 3 there. */
function endAsDocumented(command: Command): Command {
  command.exitOverride((error: CommanderError) => {
    // It ends by itself, not by `process.exit`: that standard output cannot be written is known a turn later.
    process.exitCode = exitCodes.done;
    if (error.exitCode === 0) throw error;
    // Commander has printed it for people.
    const message = error.message.replace(/^error: /, '');
    if (process.argv.includes('--json'))
      process.stdout.write(`${jsonLine(JSON.stringify({ error: { code: 'usage', message } }))}\n`);
    process.exitCode = command.name() === 'doctor' ? exitCodes.unreachable : exitCodes.usage;
    throw error;
  });
  // It repeats what was given.
  command.configureOutput({ outputError: (text, write) => write(printableLines(text, { colours: false })) });
  for (const below of command.commands) endAsDocumented(below);
  return command;
}

const commands = endAsDocumented(program());
let failedCode: ExitCode = exitCodes.failed;
commands.hook('preAction', (_program, action) => {
  // Without its report nobody knows what it saw.
  if (action.name() === 'doctor') failedCode = exitCodes.unreachable;
});
endWithReader(() => failedCode);
commands.parseAsync().catch((error: unknown) => {
  // Of the arguments: it is printed.
  if (error instanceof CommanderError) return;
  // A bug.
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  // Its message may quote what was read.
  process.stderr.write(`${printableLines(text, { colours: false })}\n`);
  process.exitCode = exitCodes.failed;
});
