import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../support/root.js';

const run = promisify(execFile);

/** Servers that speak as Redis does. They are tried where they are installed. */
const programs = ['valkey-server'];

/** A single one, Sentinel, a cluster, and TLS. */
const files = [
  ...['contract/log/broker', 'contract/log/broker-cluster', 'contract/storage/durability'],
  ...['contract/storage/redis-tls', 'contract/storage/sentinel', 'integration/redis-cluster-tls'],
].map((name) => join('test', `${name}.test.ts`));

describe('another server than redis-server', function () {
  this.timeout(600_000);

  const installed = programs.filter((program) => spawnSync(program, ['--version']).status === 0);
  for (const program of installed)
    it(`serves as Redis does: ${program}`, async () => {
      const mocha = join(root, 'node_modules', 'mocha', 'bin', 'mocha.js');
      const { stdout } = await run(process.execPath, [mocha, '--exit', ...files], {
        cwd: root,
        env: { ...process.env, RTC_TEST_REDIS_SERVER: program },
        maxBuffer: 10_000_000,
      }).catch((error: Error & { stdout?: string }) =>
        assert.fail(`${error.message}\n${error.stdout ?? ''}`),
      );
      assert.match(stdout, /\d\d passing/);
    });
});
