import { equal, match } from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../support/root.js';

const run = promisify(execFile);
const program = join(root, 'dist', 'bench', 'run.js');
const small = ['--clients', '20', '--processes', '2', '--topics', '4', '--cut-every', '3', '--cut', '0.5'];

/** The exit code and output of `npm run bench -- --fire` on this service. */
async function fire(...args: readonly string[]): Promise<{ exitCode: number; output: string }> {
  try {
    const { stdout } = await run(process.execPath, [program, '--fire', '--side', 'rtc', ...small, ...args]);
    return { exitCode: 0, output: stdout };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { exitCode: code, output: stdout + stderr };
  }
}

describe('npm run bench -- --fire', function () {
  this.timeout(180_000);

  it('delivers everything once and in order to clients that are cut off, also while the replicas are restarted', async () => {
    const { exitCode, output } = await fire('--secs', '6');
    equal(exitCode, 0, output);
    match(output, /this service.* \| 20 \| [\d,]+ \| 100 % \| 0 \| 0 \| 0 \| [1-9]\d* \| all \|/);
    match(output, /delivered 100 %, lost 0, twice 0, out of order 0\. Subscribed at the end: 20 of 20/);
  });

  // One fault in each of the two processes.
  const found = { loss: '2 \\| 0 \\| 0', double: '0 \\| 2 \\| 0', disorder: '0 \\| 0 \\| 2' };
  for (const [fault, counts] of Object.entries(found))
    it(`fails when its check finds a planted fault: ${fault}`, async () => {
      const { exitCode, output } = await fire('--secs', '2', '--no-restart', '--plant', fault);
      equal(exitCode, 1, output);
      match(output, new RegExp(`this service.* % \\| ${counts} \\|`));
    });

  it('names an unknown side or fault', async () => {
    match((await fire('--side', 'nothing')).output, /there is no side nothing; there are rtc, /);
    match((await fire('--plant', 'nothing')).output, /there is no fault nothing; there are loss, /);
  });
});
