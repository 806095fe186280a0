import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { serverVersion } from './processes.js';

/** The first lines of a report: what was measured, where, and how. `before`: another checkout that this one was compared with. */
export function reportHead(before: string | undefined): string[] {
  const packages = JSON.parse(readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const redis = spawnSync('redis-server', ['--version']).stdout.toString().trim();
  return [
    `# Benchmark of ${new Date().toISOString().slice(0, 10)}`,
    '',
    `Machine: ${cpus().length} × ${processorModel()}, ${Math.round(totalmem() / 2 ** 30)} GiB. Node ${serverVersion()}. ${redis.split(' sha')[0]}.`,
    `socket.io ${packages.dependencies['socket.io']}, @socket.io/redis-adapter ${packages.dependencies['@socket.io/redis-adapter']}, ws ${packages.dependencies['ws']}.`,
    '',
    `Command: \`npm run bench${
      process.argv.length > 2
        ? ` -- ${process.argv
            .slice(2)
            .join(' ')
            .replace(before ?? '\0', 'DIR')}`
        : ''
    }\``,
    ...(before === undefined
      ? ['', `Commit: ${commitOf('.')}.`]
      : ['', `Compared: commit ${commitOf('.')} (this) with ${commitOf(before)} (before).`]),
  ];
}

/** The processor of this machine, as it calls itself. */
export function processorModel(): string {
  return cpus()[0]?.model ?? 'unknown processor';
}

/** The commit that is checked out in a directory. */
export function commitOf(directory: string): string {
  return spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: directory }).stdout.toString().trim();
}
