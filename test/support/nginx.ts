import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readText } from './deployment-files.js';
import { endsWithTests } from './ends-with-tests.js';
import { freePort, until } from './wait.js';

/** nginx, configured as in `docker/proxies/nginx.conf`, but without sticky sessions: requests go to one replica after the other. */
export class RoundRobinNginx {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly directory: string,
  ) {}

  static async start(replicaPorts: readonly number[]): Promise<RoundRobinNginx> {
    const directory = mkdtempSync(join(tmpdir(), 'rtc-nginx-'));
    // nginx as root gives its worker another user.
    chmodSync(directory, 0o755);
    const port = await freePort();
    const file = join(directory, 'nginx.conf');
    writeFileSync(file, withoutStickiness(port, replicaPorts, directory));
    const child = spawn('nginx', ['-p', directory, '-c', file, '-g', 'daemon off;'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    endsWithTests(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => (output += data.toString()));
    child.once('error', (error) => (output += error.message));
    const nginx = new RoundRobinNginx(`http://127.0.0.1:${port}`, child, directory);
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(`nginx has ended: ${output}`);
        const response = await fetch(`${nginx.url}/api/topics`).catch(() => undefined);
        return response !== undefined && response.status < 500;
      },
      'nginx passes requests on',
      20_000,
    );
    return nginx;
  }

  stop(): void {
    this.child.kill('SIGTERM');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function withoutStickiness(port: number, replicaPorts: readonly number[], directory: string): string {
  const conf = readText('docker/proxies/nginx.conf');
  if (!conf.includes('hash $binary_remote_addr consistent;')) throw new Error('nginx.conf has changed');
  return conf
    .replace('hash $binary_remote_addr consistent;', '')
    .replace(/replica-(\d):8081/g, (_, number) => `127.0.0.1:${replicaPorts[Number(number) - 1]}`)
    .replace('listen 8081', `listen 127.0.0.1:${port}`)
    .replace('/tmp/nginx.pid', join(directory, 'nginx.pid'))
    .replace('worker_processes auto', 'worker_processes 1')
    .replace('worker_rlimit_nofile 65536;', '')
    .replace('worker_connections 30000', 'worker_connections 1000');
}
