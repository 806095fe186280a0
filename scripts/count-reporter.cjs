// Mocha's usual report. The counts are also written to the file named by TEST_COUNTS_FILE.
const { writeFileSync } = require('node:fs');
const { Spec } = require('mocha').reporters;

module.exports = class CountReporter extends Spec {
  done(failureCount, finish) {
    const { passes, failures } = this.stats;
    writeFileSync(process.env.TEST_COUNTS_FILE, JSON.stringify({ passed: passes, failed: failures }));
    finish(failureCount);
  }
};
