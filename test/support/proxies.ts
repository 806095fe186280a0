import { join } from 'node:path';
import { readText } from './deployment-files.js';

/** A proxy of docker/proxies/: how its files are checked, and how it is run. Both have the folder of the files as working directory. */
export interface ProxyProgram {
  readonly name: string;
  /** In docker/proxies/. */
  readonly files: readonly string[];
  /** Nothing, if the program has no such command: then it has to start without an error in its log. */
  readonly check: (directory: string) => readonly string[] | undefined;
  readonly run: (directory: string) => readonly string[];
}

/** Debian's packages: every run of the tests has them. */
const always: readonly ProxyProgram[] = [
  {
    name: 'nginx',
    files: ['nginx.conf'],
    check: (directory) => ['nginx', '-t', '-p', directory, '-c', join(directory, 'nginx.conf')],
    run: (directory) => ['nginx', '-p', directory, '-c', join(directory, 'nginx.conf'), '-g', 'daemon off;'],
  },
  {
    name: 'HAProxy',
    files: ['haproxy.cfg'],
    check: () => ['haproxy', '-c', '-f', 'haproxy.cfg'],
    run: () => ['haproxy', '-db', '-f', 'haproxy.cfg'],
  },
];

/** Built from their Go modules by `npm run test:deploy`, which puts them on the PATH. */
const built: readonly ProxyProgram[] = [
  {
    name: 'Caddy',
    files: ['Caddyfile'],
    check: () => ['caddy', 'validate', '--config', 'Caddyfile'],
    run: () => ['caddy', 'run', '--config', 'Caddyfile'],
  },
  {
    name: 'Traefik',
    files: ['traefik.yaml', 'traefik-routes.yaml'],
    check: () => undefined,
    run: () => ['traefik', '--configFile=traefik.yaml'],
  },
];

/** Those that `RTC_TEST_PROXIES` names, or those of Debian. */
export const proxyPrograms: readonly ProxyProgram[] = namedBy(process.env['RTC_TEST_PROXIES']);

function namedBy(names: string | undefined): readonly ProxyProgram[] {
  if (names === undefined) return always;
  return names.split(',').map((name) => {
    const found = [...always, ...built].find((program) => program.name.toLowerCase() === name);
    if (found === undefined) throw new Error(`RTC_TEST_PROXIES: ${name} is no proxy of docker/proxies/`);
    return found;
  });
}

/** A file of docker/proxies/ as it is, but for what is of this machine: ports, addresses, and limits that need rights. */
export function adaptedProxyFile(
  file: string,
  port: number,
  replicaPorts: readonly number[],
  directory: string,
): string {
  return (
    readText(`docker/proxies/${file}`)
      .replace(/replica-(\d):8081/g, (_, number) => `127.0.0.1:${replicaPorts[Number(number) - 1]}`)
      .replace('listen 8081', `listen 127.0.0.1:${port}`)
      .replace('bind :8081', `bind 127.0.0.1:${port}`)
      .replace("address: ':8081'", `address: '127.0.0.1:${port}'`)
      // Caddy's own port for operators is of the whole machine.
      .replace(/^:8081 \{$/m, `{\n\tadmin off\n}\n:${port} {\n\tbind 127.0.0.1`)
      .replace('/tmp/nginx.pid', join(directory, 'nginx.pid'))
      .replace('worker_processes auto', 'worker_processes 1')
      .replace('worker_rlimit_nofile 65536;', '')
      .replace('worker_connections 30000', 'worker_connections 500')
      .replace('maxconn 50000', 'maxconn 200')
  );
}
