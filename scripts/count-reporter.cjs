// Mocha's usual report; the counts also go to the file that TEST_COUNTS_FILE names.
const { writeFileSync } = require('node:fs');
const { Spec } = require('mocha').reporters;

module.exports = class CountReporter extends Spec {
  done(failureCount, finish) {
    const { passes, failures } = this.stats;
    writeFileSync(process.env.TEST_COUNTS_FILE, JSON.stringify({ passed: passes, failed: failures }));
    finish(failureCount);
  }
};
