import { equal, match } from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../support/root.js';

const run = promisify(execFile);
const program = join(root, 'dist', 'bench', 'run.js');

/** The exit code and output of `npm run bench -- --storm`. */
async function storm(...args: readonly string[]): Promise<{ exitCode: number; output: string }> {
  try {
    const { stdout } = await run(process.execPath, [program, '--storm', '--quick', ...args], { cwd: root });
    return { exitCode: 0, output: stdout };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { exitCode: code, output: stdout + stderr };
  }
}

describe('npm run bench -- --storm', function () {
  this.timeout(180_000);

  for (const side of ['rtc', 'rtc-paced'])
    it(`finds all clients of ${side} back, restored, and with each message once and in order`, async () => {
      const { exitCode, output } = await storm('--side', side, '--clients', '60', '--rounds', '2');
      equal(exitCode, 0, output);
      const cells = output
        .split('\n')
        .find((line) => line.startsWith('| this service'))!
        .split('|')
        .map((cell) => cell.trim());
      equal(cells[6], '60', 'recovered');
      equal(cells[7], '0 / 0', 'missing / repeated');
    });

  it('finds all clients of plain Socket.IO back, without what they have missed', async () => {
    const { exitCode, output } = await storm('--side', 'plain', '--clients', '60');
    equal(exitCode, 0, output);
    match(output, /^\| Socket\.IO.* \| – \| [1-9]\d* \/ 0 \|/m);
  });

  it('names an unknown side', async () => {
    const { exitCode, output } = await storm('--side', 'nothing');
    equal(exitCode, 1);
    match(output, /there is no side nothing/);
  });
});
