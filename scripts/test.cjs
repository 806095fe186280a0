// Runs the tests: unit and contract tests in parallel, then integration tests and fuzzers one after the other. The last
// line is "N passed, N failed". The exit code is 0 only if each stage ran at least one test and nothing
// failed, including the loading of files.
//
//   node scripts/test.cjs                          all
//   node scripts/test.cjs --unit                   unit tests only; needs no build
//   node scripts/test.cjs test/unit/x.test.ts …    these only; passed to mocha
const { spawnSync } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const mocha = require.resolve('mocha/bin/mocha.js');
const inParallel = ['--parallel', '--jobs', '2'];
const unit = [...inParallel, 'test/unit/**/*.test.ts'];
const everything = [
  [...unit, 'test/contract/**/*.test.ts'],
  ['test/integration/**/*.test.ts', 'test/fuzz/*.test.ts'],
];

const given = process.argv.slice(2);
const stages = given.length === 0 ? everything : given[0] === '--unit' ? [unit] : [given];

const directory = mkdtempSync(join(tmpdir(), 'rtc-tests-'));
let passed = 0;
let failed = 0;
stages.forEach((stage, index) => {
  const countsFile = join(directory, String(index));
  const strict = ['--forbid-only', '--forbid-pending', '--fail-zero'];
  const reporter = ['--reporter', join(__dirname, 'count-reporter.cjs')];
  const { status } = spawnSync(process.execPath, [mocha, ...strict, ...reporter, ...stage], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, TEST_COUNTS_FILE: countsFile },
  });
  const counts = countsOf(countsFile);
  passed += counts.passed;
  // Mocha does not count a file that cannot be loaded, or a run without tests, as a failed test. Here it
  // counts as one.
  failed += status === 0 ? counts.failed : Math.max(1, counts.failed);
});
rmSync(directory, { recursive: true });
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

function countsOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 0 };
  }
}
