import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { endsWithTests } from '../support/ends-with-tests.js';
import { secret, tokenOf } from '../support/replica.js';
import { root } from '../support/root.js';
import { freePort, until } from '../support/wait.js';

const main = join(root, 'dist', 'server', 'main.js');

async function isUp(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/health/live`).catch(() => undefined);
  return response?.ok === true;
}

/** The service, whose standard output a test reads or not: a socket, or through a pipe of the shell. */
async function start(through: 'socket' | 'pipe', limits: NodeJS.ProcessEnv = {}) {
  const port = await freePort();
  const command =
    through === 'socket'
      ? [process.execPath, main]
      : // The shell replaces itself, so that signals reach the service; the reader never reads.
        ['bash', '-c', `exec "$0" "$1" > >(exec sleep 60)`, process.execPath, main];
  const [file = '', ...args] = command;
  const child = spawn(file, args, {
    stdio: ['ignore', through === 'socket' ? 'pipe' : 'ignore', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOST: '127.0.0.1',
      PORT: String(port),
      JWT_SECRET: secret,
      LOG_LEVEL: 'trace',
      RTC_SERVER_SHUTDOWN_TIMEOUT_MS: '5000',
      ...limits,
    },
  });
  endsWithTests(child);
  await until(() => isUp(port), 'the service listens', 20_000);
  return { port, child };
}

/** Sends SIGTERM, and resolves to the exit code. */
async function stop(child: ChildProcess): Promise<unknown> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearTimeout(timer);
  return code;
}

/** Causes `count` lines of two thousand characters and more. */
async function log(port: number, count: number): Promise<void> {
  const reason = 'x'.repeat(4000);
  const headers = { Authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` };
  for (let n = 0; n < count; n += 50)
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const body = JSON.stringify({ mode: 'none', reason });
        const url = `http://127.0.0.1:${port}/admin/emergency-mode`;
        await (await fetch(url, { method: 'POST', headers, body })).text();
      }),
    );
}

describe('[LOG] a reader of standard output', () => {
  it('that has gone keeps the service neither from working nor from ending', async () => {
    const { port, child } = await start('socket');
    child.stdout!.destroy();
    await log(port, 50);
    assert.ok(await isUp(port));
    assert.equal(await stop(child), 0);
  });

  for (const through of ['socket', 'pipe'] as const)
    it(`that is stalled keeps the service neither from working nor from ending (${through})`, async () => {
      const { port, child } = await start(through);
      child.stdout?.pause();
      await log(port, 300);
      assert.ok(await isUp(port));
      assert.equal(await stop(child), 0);
    });

  it('gets the last lines before the service ends', async () => {
    const { child } = await start('socket');
    let text = '';
    child.stdout!.on('data', (data: Buffer) => (text += data.toString()));
    assert.equal(await stop(child), 0);
    assert.match(text, /"message":"Stopped"/);
  });
});
