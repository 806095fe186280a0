import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandRunner, readBlocks } from '../../support/documented-commands.js';
import { root } from '../../support/root.js';

describe('[OPS] documented commands that look for lines of the log', () => {
  const blocks = readBlocks(readFileSync(join(root, 'docs', 'troubleshooting.md'), 'utf8'));

  it('do not wait for ever: the level of the log may leave the lines out', () => {
    const endless = blocks.filter(({ code }) => /(until|while) [^\n]*\$LOG/.test(code));
    assert.deepEqual(
      endless.map(({ code }) => code),
      [],
    );
  });

  it('say that there is no line when a message has none', async () => {
    const block = blocks.find(({ code }) => code.includes("grep 'Message delivered'"))!;
    const runner = new CommandRunner({
      directory: tmpdir(),
      environment: { PATH: process.env['PATH'] },
      // The log is empty, and no time passes.
      preamble: `LOG=/dev/null; curl() { echo '{}'; }; jq() { cat > /dev/null; }; sleep() { :; }`,
      limitMs: 5000,
    });
    const expected = { exit: 0, output: [/^no line of it in \/dev\/null/], until: undefined };
    await runner.check(block, expected);
  });
});
