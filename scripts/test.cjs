// Runs the tests: unit and contract tests in parallel, then integration tests and fuzzers one after the other. The last
// line is "N passed, N failed". The exit code is 0 only if each stage ran at least one test and nothing
// failed, including the loading of files.
//
//   node scripts/test.cjs                          all
//   node scripts/test.cjs --unit                   unit tests only; needs no build
//   node scripts/test.cjs test/unit/x.test.ts …    these only; passed to mocha
const { spawn } = require('node:child_process');
const { existsSync, mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { toolPath } = require('./tool-path.cjs');

const mocha = require.resolve('mocha/bin/mocha.js');
const inParallel = ['--parallel', '--jobs', '2'];
const unit = [...inParallel, 'test/unit/**/*.test.ts'];
const everything = [
  [...unit, 'test/contract/**/*.test.ts'],
  ['test/integration/**/*.test.ts', 'test/fuzz/*.test.ts'],
];

const given = process.argv.slice(2);
const stages = given.length === 0 ? everything : given[0] === '--unit' ? [unit] : [given];

/** When all tests have been reported, their process may need this long to end. */
const endingMs = 60_000;

async function main() {
  const directory = mkdtempSync(join(tmpdir(), 'rtc-tests-'));
  let passed = 0;
  let failed = 0;
  const reports = [];
  for (const [index, stage] of stages.entries()) {
    const countsFile = join(directory, String(index));
    const status = await run(stage, countsFile);
    const counts = countsOf(countsFile);
    passed += counts.passed;
    // Mocha does not count a file that cannot be loaded, or a run without tests, as a failed test. Here it
    // counts as one.
    failed += status === 0 ? counts.failed : Math.max(1, counts.failed);
    reports.push(...counts.reports);
  }
  rmSync(directory, { recursive: true });
  // Again, because the reports of the first stage are far above.
  if (reports.length > 0) console.log(['Failed:', ...reports].join('\n\n'), '\n');
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

/** Runs a stage. Resolves to the exit code of mocha, null if its process had to be killed. */
function run(stage, countsFile) {
  const strict = ['--forbid-only', '--forbid-pending', '--fail-zero'];
  const reporter = ['--reporter', join(__dirname, 'count-reporter.cjs')];
  const child = spawn(process.execPath, [mocha, ...strict, ...reporter, ...stage], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PATH: toolPath, TEST_COUNTS_FILE: countsFile },
  });
  let doneAt;
  const watch = setInterval(() => {
    if (doneAt === undefined && existsSync(countsFile)) doneAt = Date.now();
    if (doneAt === undefined || Date.now() - doneAt < endingMs) return;
    console.log('The process of the tests does not end: it is killed.');
    child.kill('SIGKILL');
  }, 1000);
  return new Promise((resolve) => {
    child.once('error', () => resolve(1));
    child.once('close', resolve);
  }).finally(() => clearInterval(watch));
}

void main();

function countsOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 0, reports: [] };
  }
}
