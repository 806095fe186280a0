// Runs the fuzzers of test/fuzz/ for as long as is asked; `npm test` runs each for a few seconds.
//
//   npm run fuzz -- --seconds 600             each for ten minutes
//   npm run fuzz -- --only ws --seed 7        one of them: http, limits, polling, settings, socketio or ws
const { spawnSync } = require('node:child_process');
const { join } = require('node:path');
const { parseArgs } = require('node:util');

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    only: { type: 'string', default: '*' },
  },
});
const { status } = spawnSync(
  process.execPath,
  [require.resolve('mocha/bin/mocha.js'), '--exit', `test/fuzz/${values.only}.test.ts`],
  {
    cwd: join(__dirname, '..'),
    stdio: 'inherit',
    env: {
      ...process.env,
      FUZZ_SECONDS: values.seconds,
      ...(values.seed !== undefined && { SEED: values.seed }),
    },
  },
);
process.exitCode = status ?? 1;
