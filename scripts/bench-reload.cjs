// pm2 reload under load: see bench/reload/run.ts. Options: --clients 1000 --polling 0 --publishers 4 --topics 10 --rate 10 --replicas 2 --window 10
const { spawnSync } = require('node:child_process');
const { join } = require('node:path');
const { pm2Program } = require('./pm2.cjs');

const program = join(__dirname, '..', 'dist', 'bench', 'reload', 'run.js');
const { status } = spawnSync(process.execPath, [program, '--pm2', pm2Program(), ...process.argv.slice(2)], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
