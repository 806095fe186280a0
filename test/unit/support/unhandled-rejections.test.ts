import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../support/root.js';

const mocha = join(root, 'node_modules', 'mocha', 'bin', 'mocha.js');

/** Each of them rejects a promise that nobody listens to, in a test or hook that ends at once or waits. */
const planted = (name: string) => `
  const { setImmediate: nextTurn } = require('node:timers/promises');
  const reject = async (where) => { throw new Error(where + ' of ${name}'); };
  describe('${name}', () => {
    after(() => void reject('hook'));
    it('listens', () => reject().catch(() => {}));
    it('ends at once', () => void reject('short'));
    it('waits', async () => { void reject('long'); await nextTurn(); });
  });
`;

/** How Mocha reports them. */
const failures = (name: string) => [
  `${name} ends at once: Error: unhandled rejection: Error: short of ${name} `,
  `${name} waits: Error: unhandled rejection: Error: long of ${name} `,
  `${name} "after all" hook for "waits": Error: unhandled rejection: Error: hook of ${name} `,
];

describe('an unhandled rejection', () => {
  let directory: string;
  let files: string[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rtc-rejections-'));
    files = ['a', 'b'].map((name) => {
      const file = join(directory, `${name}.test.cjs`);
      writeFileSync(file, planted(name));
      return file;
    });
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  /** What Mocha prints of the files, run with the settings of all tests. */
  function failing(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync(process.execPath, [mocha, '--no-color', ...args], {
      cwd: root,
      encoding: 'utf8',
    });
    assert.notEqual(status, 0, stdout + stderr);
    return stdout.replace(/\s+/g, ' ');
  }

  it('fails the test or hook that it comes from', () => {
    const output = failing(files[0]!);
    for (const failure of failures('a')) assert.ok(output.includes(failure), output);
    assert.match(output, / 1 passing .* 3 failing /);
  });

  it('fails it in every file that a worker of Mocha runs', () => {
    const output = failing('--parallel', '--jobs', '1', ...files);
    for (const failure of ['a', 'b'].flatMap(failures)) assert.ok(output.includes(failure), output);
    assert.match(output, / 2 passing .* 6 failing /);
  });
});
