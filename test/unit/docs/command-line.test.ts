import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandReference, leavesOf } from '../../../server/cli/describe-commands.js';
import { program } from '../../../server/cli/program.js';
import { root } from '../../support/root.js';

const page = readFileSync(join(root, 'docs', 'cli.md'), 'utf8');

describe('[DOCS] docs/cli.md', () => {
  it('has every command with its arguments and options, as rtc cli-table prints them', () => {
    const [, reference = ''] = page.split('\n## Reference\n');
    assert.equal(reference.trim(), commandReference(program()).trim());
  });

  it('describes each option that commands share', () => {
    const [shared = ''] = page.split('\n## One-liners\n');
    for (const option of ['--url', '--token', '--profile', '--timeout', '--json'])
      assert.ok(shared.includes(`\`${option}\``), option);
  });

  it('has a schema for each command with --json, and no other', () => {
    const { $defs } = JSON.parse(readFileSync(join(root, 'docs', 'cli.schema.json'), 'utf8')) as {
      $defs: Record<string, unknown>;
    };
    const withJson = leavesOf(program())
      .filter(({ command }) => command.options.some(({ long }) => long === '--json'))
      .map(({ path }) => path);
    assert.ok(withJson.length > 10);
    assert.deepEqual(Object.keys($defs).sort(), ['error', ...withJson].sort());
  });

  it('has one-line descriptions of commands without a final stop', () => {
    for (const { path, command } of leavesOf(program())) assert.match(command.description(), /^[a-z/].*[^.]$/, path);
  });
});
