import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { settingList } from '../../server/config/setting-list.js';
import { readText } from '../support/deployment-files.js';
import { endsWithTests } from '../support/ends-with-tests.js';
import { connectClient } from '../support/clients.js';
import { secret } from '../support/replica.js';
import { root } from '../support/root.js';
import { freePort, until } from '../support/wait.js';

const mebibyte = 1_048_576;
const dockerfile = readText('docker/Dockerfile');
/** The command of HEALTHCHECK, as Docker executes it. */
const healthCheck = JSON.parse(/^ +CMD (\[.+\])$/m.exec(dockerfile)?.[1] ?? 'null') as string[];

/** What the image starts, as a process; `files` are those of the cgroup. */
class Container {
  output = '';
  private isClosed = false;

  private constructor(
    readonly port: number,
    readonly child: ChildProcess,
    private readonly directory: string,
  ) {}

  static async start(files: Record<string, string>, environment: NodeJS.ProcessEnv = {}): Promise<Container> {
    const directory = mkdtempSync(join(tmpdir(), 'rtc-container-'));
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(directory, name, '..'), { recursive: true });
      writeFileSync(join(directory, name), text);
    }
    const port = await freePort();
    const { PATH } = process.env;
    const child = spawn(join(root, 'docker', 'start.sh'), {
      cwd: '/',
      env: { PATH, JWT_SECRET: secret, PORT: String(port), CGROUP_ROOT: directory, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    endsWithTests(child);
    const container = new Container(port, child, directory);
    child.once('close', () => (container.isClosed = true));
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => (container.output += data.toString()));
    await until(
      () => container.output.includes('"Listening"') || child.exitCode !== null,
      'the service listens',
      50_000,
    );
    assert.equal(child.exitCode, null, container.output);
    return container;
  }

  async end(): Promise<number | null> {
    this.child.kill('SIGTERM');
    // Its last lines are read after it has ended.
    await until(() => this.isClosed, 'it has ended, and its output', 20_000);
    return this.child.exitCode;
  }

  close(): void {
    this.child.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The heap that `docker/start.sh` gives Node, read from a stand-in for the program `node` that prints its arguments. */
function argumentsFor(files: Record<string, string>, environment: NodeJS.ProcessEnv = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'rtc-start-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(directory, name, '..'), { recursive: true });
      writeFileSync(join(directory, name), text);
    }
    writeFileSync(join(directory, 'node'), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
    const { stdout, stderr } = spawnSync(join(root, 'docker', 'start.sh'), ['--extra'], {
      env: { PATH: `${directory}:${process.env['PATH']}`, CGROUP_ROOT: directory, ...environment },
      encoding: 'utf8',
    });
    assert.equal(stderr, '');
    return stdout.trim();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('[DEPLOY] docker/start.sh', () => {
  const rest = 'dist/server/main.js --extra';

  it('gives the heap two thirds of the memory limit, of cgroups of both versions', () => {
    const limit = String(1024 * mebibyte);
    assert.equal(argumentsFor({ 'memory.max': limit }), `--max-old-space-size=682 ${rest}`);
    assert.equal(argumentsFor({ 'memory/memory.limit_in_bytes': limit }), `--max-old-space-size=682 ${rest}`);
  });

  it('leaves the heap to Node without a limit, and to the operator who sets it', () => {
    assert.equal(argumentsFor({ 'memory.max': 'max\n' }), rest);
    assert.equal(argumentsFor({ 'memory/memory.limit_in_bytes': '9223372036854771712' }), rest);
    assert.equal(argumentsFor({}), rest);
    const own = { NODE_OPTIONS: '--max-old-space-size=300' };
    assert.equal(argumentsFor({ 'memory.max': String(1024 * mebibyte) }, own), rest);
  });
});

describe('[DEPLOY] what the image runs', () => {
  let container: Container | undefined;
  afterEach(() => {
    container?.close();
    container = undefined;
  });

  it('is one process with the name that pgrep finds, healthy while it runs, and exits with 0 on SIGTERM', async () => {
    container = await Container.start({ 'memory.max': String(600 * mebibyte) });
    // The shell has become the service: its id is that of the child, so signals reach it.
    const { stdout } = spawnSync('pgrep', ['realtime_comm'], { encoding: 'utf8' });
    assert.ok(stdout.split('\n').includes(String(container.child.pid)), stdout);
    const check = () =>
      spawnSync(process.execPath, healthCheck.slice(1), {
        env: { PORT: String(container!.port) },
        encoding: 'utf8',
      });
    assert.equal(check().status, 0);
    assert.equal(await container.end(), 0);
    assert.equal(check().status, 1);
    const lines = container.output.trim().split('\n');
    assert.match(lines.at(-1)!, /"timestamp":"[\d-]+T[\d:.]+Z".*"message":"Stopped"/);
  });

  it('writes no file: neither at the start, with clients, nor at the end', async () => {
    // Node's own permissions stand in for a root file system that is read-only.
    const [major = 0] = process.versions.node.split('.').map(Number);
    const permission = major >= 24 ? '--permission' : '--experimental-permission';
    const network = major >= 25 ? ' --allow-net' : '';
    container = await Container.start(
      {},
      {
        NODE_OPTIONS: `${permission} --allow-fs-read=*${network}`,
        NODE_ENV: 'production',
        JWT_SECRET: secret.repeat(2),
      },
    );
    const token = jwt.sign({ sub: 'ann', roles: ['user'] }, secret.repeat(2), { expiresIn: 600 });
    for (const transport of ['polling', 'websocket'] as const) {
      const client = await connectClient(`http://127.0.0.1:${container.port}`, 'ann', {
        transports: [transport],
        auth: { token },
      });
      const answer = (await client.timeout(30_000).emitWithAck('publish', { topic: 't', payload: 1 })) as {
        ok: boolean;
      };
      assert.equal(answer.ok, true);
      client.disconnect();
    }
    assert.equal(await container.end(), 0);
    assert.doesNotMatch(container.output, /ERR_ACCESS_DENIED|FileSystemWrite/);
  });
});

describe('[DEPLOY] ecosystem.config.js', () => {
  const load = (environment: NodeJS.ProcessEnv) => {
    const { PATH } = process.env;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['-e', `console.log(JSON.stringify(require(${JSON.stringify(join(root, 'ecosystem.config.js'))})))`],
      { env: { PATH, ...environment }, encoding: 'utf8', cwd: tmpdir() },
    );
    return {
      status,
      stderr,
      app: status === 0 ? (JSON.parse(stdout) as { apps: [Record<string, unknown>] }).apps[0] : {},
    };
  };

  it('starts two replicas with Redis, one without, and refuses several without', () => {
    assert.equal(load({ REDIS_URL: 'redis://localhost' }).app['instances'], 2);
    assert.equal(load({}).app['instances'], 1);
    const refused = load({ REPLICAS: '2' });
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /REPLICAS=2 needs Redis: set REDIS_URL/);
    assert.notEqual(load({ REPLICAS: 'many', REDIS_URL: 'redis://localhost' }).status, 0);
  });

  it('has two processes on one port only with Redis: pm2 reload ended the only replica for one that was refused', () => {
    assert.equal(load({ REDIS_URL: 'redis://localhost', REPLICAS: '1' }).app['exec_mode'], 'cluster');
    assert.equal(load({}).app['exec_mode'], 'fork');
  });

  it('says what is missing where the service is not built', () => {
    const directory = mkdtempSync(join(tmpdir(), 'rtc-unbuilt-'));
    try {
      copyFileSync(join(root, 'ecosystem.config.js'), join(directory, 'ecosystem.config.js'));
      const { status, stderr } = spawnSync(process.execPath, ['ecosystem.config.js'], {
        encoding: 'utf8',
        cwd: directory,
      });
      assert.notEqual(status, 0);
      assert.match(stderr, /not built: npm ci && npm run build/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('waits longer than a replica takes to end', () => {
    const killTimeout = (environment: NodeJS.ProcessEnv) => Number(load(environment).app['kill_timeout']);
    const seconds = (name: string) => Number(settingList.find((setting) => setting.name === name)!.default);
    const usualMs =
      (seconds('server.drain_delay_secs') + seconds('server.drain_window_secs')) * 1000 + 10_000;
    assert.equal(killTimeout({}), usualMs + 5000);
    const given = { RTC_SERVER_SHUTDOWN_TIMEOUT_MS: '60000', RTC_SERVER_DRAIN_WINDOW_SECS: '90' };
    assert.equal(killTimeout({ ...given, RTC_SERVER_DRAIN_DELAY_SECS: '7' }), 7000 + 90_000 + 60_000 + 5000);
    const directory = mkdtempSync(join(tmpdir(), 'rtc-pm2-'));
    try {
      const file = join(directory, 'rtc.toml');
      writeFileSync(file, '[server]\ndrain_window_secs = 120\n');
      assert.equal(killTimeout({ RTC_CONFIG: file }), 120_000 + 10_000 + 5000);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('is not got around by PM2 scaling: a second replica without Redis ends with the remedy', () => {
    const { PATH } = process.env;
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'dist/server/main.js')], {
      env: { PATH, NODE_APP_INSTANCE: '1', JWT_SECRET: secret, PORT: '0' },
      encoding: 'utf8',
      timeout: 50_000,
    });
    assert.equal(status, 2);
    assert.match(stderr, /several replicas need Redis.*set REDIS_URL/);
  });

  it('shows every line of the log, also the last: each is written where a process manager collects it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'rtc-manager-'));
    const [manager, replica] = [join(directory, 'manager.cjs'), join(directory, 'replica.cjs')];
    const [collected, inherited] = [join(directory, 'collected.log'), join(directory, 'inherited.log')];
    // As PM2 does it: a worker of node:cluster whose `process.stdout.write` is replaced, while descriptor 1 is the manager's own log.
    writeFileSync(
      manager,
      `const cluster = require('node:cluster');
      cluster.setupPrimary({ exec: ${JSON.stringify(replica)} });
      const worker = cluster.fork();
      process.on('SIGTERM', () => worker.process.kill('SIGTERM'));
      worker.on('exit', (code) => process.exit(code));`,
    );
    writeFileSync(
      replica,
      `const file = require('node:fs').createWriteStream(${JSON.stringify(collected)});
      process.stdout.write = (text, encoding, callback) => void setTimeout(() => file.write(text, encoding, callback), 30);
      require(${JSON.stringify(join(root, 'dist/server/main.js'))});`,
    );
    const { PATH } = process.env;
    const output = openSync(inherited, 'w');
    const child = spawn(process.execPath, [manager], {
      env: { PATH, JWT_SECRET: secret, HOST: '127.0.0.1', PORT: String(await freePort()) },
      stdio: ['ignore', output, 'ignore'],
    });
    endsWithTests(child);
    const lines = () => (existsSync(collected) ? readFileSync(collected, 'utf8') : '');
    try {
      await until(() => lines().includes('"Listening"'), 'the line that it listens', 20_000);
      child.kill('SIGTERM');
      await until(() => child.exitCode !== null, 'it has ended', 20_000);
      assert.equal(child.exitCode, 0);
      assert.match(lines(), /"message":"Stopped"/);
      assert.equal(readFileSync(inherited, 'utf8'), '');
    } finally {
      child.kill('SIGKILL');
      closeSync(output);
      rmSync(directory, { recursive: true });
    }
  });

  it('names the script that npm builds', () => {
    assert.ok(readFileSync(join(root, String(load({}).app['script']))).length > 0);
  });
});
