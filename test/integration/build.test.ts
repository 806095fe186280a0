import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../support/root.js';

/** A small checkout with the real build script and compiler settings. */
describe('[BUILD] scripts/build.cjs', () => {
  let directory: string;
  const at = (...path: string[]) => join(directory, ...path);

  const build = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [at('scripts', 'build.cjs'), ...args], {
      encoding: 'utf8',
    });
    assert.equal(stdout, '', 'nothing is written to stdout');
    return { status, stderr };
  };
  const built = { status: 0, stderr: 'building dist/ …\n' };
  const upToDate = { status: 0, stderr: '' };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rtc-build-'));
    for (const folder of ['scripts', 'server/storage/redis/lua', 'test'])
      mkdirSync(at(folder), { recursive: true });
    symlinkSync(join(root, 'node_modules'), at('node_modules'));
    for (const file of ['scripts/build.cjs', 'tsconfig.json', 'package-lock.json'])
      copyFileSync(join(root, file), at(file));
    writeFileSync(at('server', 'main.ts'), "export const name = 'first';\n");
    writeFileSync(at('server', 'other.ts'), 'export const other = 1;\n');
    writeFileSync(at('server/storage/redis/lua', 'one.lua'), 'return 1\n');
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('builds a new checkout, and with --if-needed only after a change', () => {
    assert.deepEqual(build('--if-needed'), built);
    assert.ok(existsSync(at('dist/server/storage/redis/lua/one.lua')));
    assert.deepEqual(build('--if-needed'), upToDate);
    writeFileSync(at('server', 'main.ts'), "export const name = 'second';\n");
    assert.deepEqual(build('--if-needed'), built);
    assert.deepEqual(build('--if-needed'), upToDate);
    assert.deepEqual(build(), built);
  });

  it('deletes compiled files whose source is gone', () => {
    build();
    assert.ok(existsSync(at('dist/server/other.js')));
    rmSync(at('server', 'other.ts'));
    rmSync(at('server/storage/redis/lua/one.lua'));
    assert.deepEqual(build('--if-needed'), built);
    for (const file of ['other.js', 'other.js.map', 'other.d.ts', 'storage/redis/lua/one.lua'])
      assert.ok(!existsSync(at('dist/server', file)), file);
    assert.ok(existsSync(at('dist/server/main.js')));
  });

  it('fails if the compiler fails, and builds again next time', () => {
    writeFileSync(at('server', 'other.ts'), "export const other: number = '';\n");
    for (let time = 0; time < 2; time++) {
      const { status, stderr } = build('--if-needed');
      assert.notEqual(status, 0);
      assert.match(stderr, /server\/other\.ts\(1,14\): error TS2322/);
    }
    writeFileSync(at('server', 'other.ts'), 'export const other: number = 1;\n');
    assert.deepEqual(build('--if-needed'), built);
  });
});
