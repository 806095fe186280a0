import { equal, match } from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PublishedFigure } from '../../bench/curves/published.js';
import { root } from '../support/root.js';

const run = promisify(execFile);
const program = join(root, 'dist', 'bench', 'run.js');

describe('npm run bench -- --rebaseline', function () {
  this.timeout(180_000);
  let directory: string;

  before(() => (directory = mkdtempSync(join(tmpdir(), 'rebaseline-'))));
  after(() => rmSync(directory, { recursive: true, force: true }));

  /** The exit code and output with these figures in the place of the published ones. */
  async function rebaseline(
    figures: readonly PublishedFigure[],
    ...args: readonly string[]
  ): Promise<{ exitCode: number; output: string }> {
    const manifest = join(directory, 'published.json');
    writeFileSync(manifest, JSON.stringify(figures));
    const options = ['--rebaseline', '--quick', '--rounds', '1', '--published', manifest, ...args];
    try {
      const { stdout, stderr } = await run(process.execPath, [program, ...options], { cwd: root });
      return { exitCode: 0, output: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { exitCode: code, output: stdout + stderr };
    }
  }

  const figure: PublishedFigure = {
    work: 'one-topic',
    load: 100,
    side: 'rtc-alone',
    against: 'plain-alone',
    ratio: 1,
    tolerance: 0.25,
    processor: 'Abacus',
  };

  it('measures each figure, and fails where one is better than what was measured', async () => {
    // No machine is so busy that the first does not hold, or the second does.
    const held = { ...figure, tolerance: 1000 };
    const better = { ...figure, ratio: 0.001 };
    const { exitCode, output } = await rebaseline([held, better]);
    equal(exitCode, 1, output);
    match(output, /published 1, measured \d+\.\d+ \([+-]?\d+ %, allowed 100000 %\)$/m);
    match(output, /published 0\.001, measured \d+\.\d+ \(\+\d+ %, allowed 25 %\) DRIFTED$/m);
    match(output, /^inexact: figures were published of Abacus, this is /m);
    const alone = await rebaseline([held]);
    equal(alone.exitCode, 0, alone.output);
  });

  it('fails where nothing is measured', async () => {
    const { exitCode, output } = await rebaseline([figure], '--load', '7');
    equal(exitCode, 1, output);
    match(output, /there is no such published figure/);
  });
});
