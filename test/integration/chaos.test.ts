import { equal, match } from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../support/root.js';

const run = promisify(execFile);
const program = join(root, 'dist', 'bench', 'chaos', 'run.js');
const seed = process.env['SEED'] ?? String(Date.now() % 1_000_000);

/** The exit code and output of `npm run chaos`. */
async function chaos(...args: readonly string[]): Promise<{ exitCode: number; output: string }> {
  try {
    const { stdout } = await run(process.execPath, [program, ...args]);
    return { exitCode: 0, output: stdout };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { exitCode: code, output: stdout + stderr };
  }
}

describe('[CHAOS] npm run chaos', function () {
  this.timeout(180_000);

  const short = [
    { scenario: 'short', what: 'replicas are killed and stopped and clients are cut off' },
    { scenario: 'short-redis', what: 'Redis is out of reach, stands still, and loses everything' },
  ];
  for (const { scenario, what } of short)
    it(`finds every promise kept while ${what} (SEED=${seed})`, async () => {
      const { exitCode, output } = await chaos('--scenario', scenario, '--seed', seed);
      equal(exitCode, 0, output);
      match(output, new RegExp(`${scenario} +seed ${seed} .* clean`));
    });

  it('names an unknown scenario or breach', async () => {
    const scenario = await chaos('--scenario', 'nothing');
    equal(scenario.exitCode, 1);
    match(scenario.output, /there is no scenario "nothing"/);
    const breach = await chaos('--plant', 'nothing');
    equal(breach.exitCode, 1);
    match(breach.output, /there is no breach "nothing"/);
  });
});
