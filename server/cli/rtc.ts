#!/usr/bin/env node
import './process-start.js';
import { CommanderError, type Command } from 'commander';
import { exitCodes } from './exit-codes.js';
import { program } from './program.js';
import { endWithReader } from './terminal.js';
import { jsonLine, printableLines } from './text-table.js';

/** Wrong arguments end with 2, as wrong settings do; `rtc doctor` could not look, which is 3 there. */
function endAsDocumented(command: Command): Command {
  command.exitOverride((error: CommanderError) => {
    if (error.exitCode === 0) process.exit(0);
    // Commander has printed it for people.
    const message = error.message.replace(/^error: /, '');
    if (process.argv.includes('--json'))
      process.stdout.write(`${jsonLine(JSON.stringify({ error: { code: 'usage', message } }))}\n`);
    process.exit(command.name() === 'doctor' ? exitCodes.unreachable : exitCodes.usage);
  });
  // It repeats what was given.
  command.configureOutput({ outputError: (text, write) => write(printableLines(text, { colours: false })) });
  for (const below of command.commands) endAsDocumented(below);
  return command;
}

endWithReader();
endAsDocumented(program())
  .parseAsync()
  .catch((error: unknown) => {
    // A bug.
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = exitCodes.failed;
  });
