import assert from 'node:assert/strict';
import { once } from 'node:events';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { io } from 'socket.io-client';
import { root } from '../support/root.js';
import { freePort, until } from '../support/wait.js';

describe('[START] commands that start the service', function () {
  this.timeout(300_000);
  let child: ChildProcess | undefined;
  let stdout = '';
  let stderr = '';

  /** Starts a program in its own process group, so that all of its processes can be stopped. */
  const start = async (program: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) => {
    const port = String(await freePort());
    const { HOME, PATH } = process.env;
    stdout = '';
    stderr = '';
    const started = spawn(program, args, {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { HOME, PATH, HOST: '127.0.0.1', PORT: port, ...environment },
    });
    child = started;
    started.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
    started.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  };
  const listened = () => stdout.match(/Listening/g)?.length ?? 0;
  const hasListened = (times: number) =>
    until(
      () => {
        assert.equal(child?.exitCode, null, `it has ended: ${stdout}${stderr}`);
        return listened() >= times;
      },
      `it listens for time ${times}`,
      50_000,
    );

  afterEach(async () => {
    if (child?.pid === undefined) return;
    const ended = child;
    process.kill(-child.pid, 'SIGTERM');
    await until(() => ended.exitCode !== null || ended.signalCode !== null, 'it has ended');
    child = undefined;
  });

  it('npm start --silent writes only the log to stdout, and how to try it to stderr', async () => {
    await start('npm', ['start', '--silent']);
    await hasListened(1);
    await until(() => stderr.includes('npx wscat'), 'it prints how to try it');
    for (const line of stdout.trim().split('\n'))
      assert.equal(typeof (JSON.parse(line) as { timestamp: unknown }).timestamp, 'string', line);
  });

  it('without a JWT_SECRET, say where the token comes from and how to use it, also with Socket.IO', async () => {
    await start(process.execPath, ['dist/server/main.js']);
    await until(() => stderr.includes('set JWT_SECRET'), 'it says how to try it');
    const lines = stderr.trim().split('\n');
    assert.ok(lines.length <= 9, `${lines.length} lines`);
    assert.match(lines[0]!, /^First steps, in a browser: http:/);
    assert.match(lines[1]!, /^No JWT_SECRET is set: .*made a secret for this run/);
    const token = /export TOKEN=(\S+)/.exec(stderr)?.[1];
    const url = /io\('([^']+)'/.exec(stderr)?.[1];
    const socket = io(url!, { auth: { token } });
    try {
      const { details } = await new Promise<{ details: { user_id: string } }>((resolve, reject) => {
        socket.once('status', resolve);
        socket.once('connect_error', reject);
      });
      assert.equal(details.user_id, 'developer');
    } finally {
      socket.close();
    }
  });

  it('say in one line that the port is in use, and end with exit code 1', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    try {
      const { status, stderr: problem } = spawnSync(process.execPath, ['dist/server/main.js'], {
        cwd: root,
        env: { HOST: '127.0.0.1', PORT: String(port), JWT_SECRET: 'secret' },
        encoding: 'utf8',
      });
      assert.deepEqual(
        [status, problem],
        [1, `port ${port} is in use by another program: set PORT to a free one\n`],
      );
    } finally {
      other.close();
    }
  });

  it('npm run dev restarts on a change of a source, a Lua script included', async () => {
    await start('npm', ['run', '--silent', 'dev']);
    await hasListened(1);
    let times = 1;
    for (const file of ['server/topics/topics.ts', 'server/storage/redis/lua/append.lua']) {
      const path = join(root, file);
      const { atime, mtime } = statSync(path);
      try {
        utimesSync(path, atime, new Date());
        times += 1;
        await hasListened(times);
      } finally {
        utimesSync(path, atime, mtime);
        // An older time is a change too.
        times += 1;
        await hasListened(times);
      }
    }
    // The log is in the readable format, not JSON.
    assert.throws(() => JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
  });

  it('show the lines of the TypeScript sources in stacks, without holding the maps of all files', () => {
    const source = readFileSync(join(root, 'server/cli/heap-growth.ts'), 'utf8').split('\n');
    const line = source.findIndex((text) => text.includes('dependencies.setFlags(')) + 1;
    const directory = mkdtempSync(join(tmpdir(), 'rtc-bin-'));
    try {
      // A link, as npm installs a command. A script loaded before it makes a stack at the end.
      const link = join(directory, 'rtc');
      symlinkSync(join(root, 'dist/server/cli/rtc.js'), link);
      const probe = join(directory, 'probe.cjs');
      const growth = JSON.stringify(join(root, 'dist/server/cli/heap-growth.js'));
      writeFileSync(
        probe,
        `process.on('exit', () => {
          const { HeapGrowth } = require(${growth});
          const setFlags = () => { throw new TypeError('from the probe'); };
          try { new HeapGrowth({ setFlags }); } catch (error) { console.log(error.stack); }
          console.log('all held:', process.sourceMapsEnabled);
          for (const code of ['ECONNRESET', 'ECONNREFUSED'])
            console.log(code, Object.assign(new Error(code), { code, syscall: 'read' }).stack.split('\\n').length);
        })`,
      );
      for (const [program, ...args] of [
        [link, 'config'],
        [join(root, 'dist/server/main.js'), '--no-such-option'],
      ] as const) {
        const { stdout: output } = spawnSync(process.execPath, ['--require', probe, program, ...args], {
          encoding: 'utf8',
          env: { PATH: process.env['PATH'], PORT: 'none' },
        });
        assert.match(output, /^TypeError: from the probe\n {4}at Object.setFlags \(.*probe\.cjs:3:/m);
        assert.match(
          output,
          new RegExp(`^ {4}at new HeapGrowth \\(.*/server/cli/heap-growth\\.ts:${line}:\\d+\\)$`, 'm'),
        );
        assert.match(output, /^all held: false$/m);
        // Of a client that has gone, it is made for nobody.
        assert.match(output, /^ECONNRESET 1$/m);
        assert.match(output, /^ECONNREFUSED [2-9]$/m);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
