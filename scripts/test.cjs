// Runs the tests and ends with "N passed, N failed" on a line of its own.
const { spawn } = require('node:child_process');
const { join } = require('node:path');

const mocha = join(__dirname, '..', 'node_modules', 'mocha', 'bin', 'mocha.js');
const given = process.argv.slice(2);
const child = spawn(process.execPath, [mocha, ...(given.length > 0 ? given : ['test/**/*.test.ts'])], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
let tail = '';
child.stdout.on('data', (data) => {
  process.stdout.write(data);
  tail = (tail + data.toString()).slice(-200_000);
});
child.on('close', (code, signal) => {
  const count = (word) =>
    Number([...tail.matchAll(new RegExp(`^ *(\\d+) ${word}\\b`, 'gm'))].at(-1)?.[1] ?? 0);
  console.log(`${count('passing')} passed, ${count('failing')} failed`);
  process.exit(code ?? (signal ? 1 : 0));
});
