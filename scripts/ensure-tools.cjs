// Makes sure that the programs that the tests run are installed (redis-server with redis-cli, nginx, haproxy,
// curl, jq, pgrep and tmux; Chromium, if requested): on the PATH, or else from Debian's packages.
const { spawnSync } = require('node:child_process');
const { toolPath } = require('./tool-path.cjs');

const wanted = [
  { programs: ['redis-server'], package: 'redis-server' },
  { programs: ['redis-cli'], package: 'redis-tools' },
  { programs: ['nginx'], package: 'nginx' },
  { programs: ['haproxy'], package: 'haproxy' },
  { programs: ['curl'], package: 'curl' },
  { programs: ['jq'], package: 'jq' },
  { programs: ['pgrep'], package: 'procps' },
  { programs: ['tmux'], package: 'tmux' },
  ...(process.argv.includes('--chromium')
    ? [{ programs: ['chromium', 'chromium-browser', 'google-chrome'], package: 'chromium' }]
    : []),
];

const env = { ...process.env, PATH: toolPath };
const has = (program) => spawnSync('sh', ['-c', `command -v ${program}`], { env }).status === 0;
const missing = wanted.filter(({ programs }) => !programs.some(has));
if (missing.length > 0) {
  const packages = missing.map((one) => one.package);
  const canInstall = has('apt-get') && process.getuid?.() === 0;
  if (canInstall) {
    // The tests start their own server: the package must not start a system service.
    const environment = { ...env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    const run = (args) =>
      spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env: environment }).status === 0;
    console.error(`installing ${packages.join(', ')} …`);
    if (!run(['update', '-qq']) || !run(['install', '-y', '-qq', '--no-install-recommends', ...packages]))
      process.exitCode = 1;
  } else {
    process.exitCode = 1;
  }
  if (process.exitCode === 1)
    console.error(
      `The tests need ${packages.join(' and ')}: install with "apt-get install ${packages.join(' ')}".`,
    );
}
