// Mocha's usual report. The counts and what failed are also written to the file named by TEST_COUNTS_FILE.
const { writeFileSync } = require('node:fs');
const { Spec } = require('mocha').reporters;

/** What a test has left open may keep the process alive this long after the last test. */
const closingMs = 20_000;

module.exports = class CountReporter extends Spec {
  done(failureCount, finish) {
    const { passes, failures } = this.stats;
    const reports = this.failures.map((test) => `${test.fullTitle()}\n${test.err.stack ?? test.err.message}`);
    const write = (failed) =>
      writeFileSync(process.env.TEST_COUNTS_FILE, JSON.stringify({ passed: passes, failed, reports }));
    write(failures);
    // Does not keep the process alive by itself: it runs only where something else does.
    setTimeout(() => {
      console.log(`A test has left something open: ${process.getActiveResourcesInfo().join(', ')}`);
      write(Math.max(1, failures));
      process.exit(1);
    }, closingMs).unref();
    finish(failureCount);
  }
};
