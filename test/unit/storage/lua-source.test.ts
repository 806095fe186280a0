import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { luaSource } from '../../../server/storage/redis/lua-source.js';

describe('includes of Lua scripts', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'lua-source-'));
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  function write(name: string, text: string): void {
    writeFileSync(join(directory, `${name}.lua`), text);
  }

  it('puts the included file in place of the line', () => {
    write('script', 'local a = 1\n--- @include "rule"\nreturn rule(a)\n');
    write('rule', 'local function rule(a) return a end');
    assert.equal(
      luaSource(directory, 'script'),
      'local a = 1\nlocal function rule(a) return a end\nreturn rule(a)\n',
    );
  });

  it('includes each file once, also through another file', () => {
    write('script', '--- @include "one"\n--- @include "two"\n');
    write('one', 'local one');
    write('two', '--- @include "one"\nlocal two');
    assert.equal(luaSource(directory, 'script'), 'local one\n\nlocal two\n');
  });

  it('fails if an included file is missing', () => {
    write('script', '--- @include "missing"\n');
    assert.throws(() => luaSource(directory, 'script'), /missing\.lua/);
  });

  it('leaves no include line in the scripts of the service', () => {
    const scripts = join(__dirname, '../../../server/storage/redis/lua');
    const names = readdirSync(scripts).filter((file) => file.endsWith('.lua'));
    assert.ok(names.length > 0);
    for (const file of names) assert.doesNotMatch(luaSource(scripts, file.slice(0, -4)), /@include/, file);
  });
});
