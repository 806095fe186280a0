// PM2, from npm, kept in .tmp/: it is no dependency of the service.
const { spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const version = '7.0.4';

/** The path of its program. It is installed if it is not there yet. */
function pm2Program() {
  const folder = join(__dirname, '..', '.tmp', 'deploy', 'pm2');
  const program = join(folder, 'node_modules', 'pm2', 'bin', 'pm2');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const { status, stdout, stderr } = spawnSync('npm', ['install', '--ignore-scripts', `pm2@${version}`], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`PM2 could not be installed: ${stdout}${stderr}`);
  return program;
}

module.exports = { pm2Program };
