import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server } from 'socket.io';
import type { Service } from '../../server/index.js';
import { startEmbedded } from '../support/embedded-service.js';
import { endsWithTests } from '../support/ends-with-tests.js';
import { tokenOf } from '../support/replica.js';
import { root } from '../support/root.js';
import { until } from '../support/wait.js';

const page = readFileSync(join(root, 'README.md'), 'utf8');
const address = 'http://localhost:8081';
/** The programs that a reader saves and runs; other blocks are parts of programs. */
const programs = [...page.matchAll(/^```js\n([\s\S]*?)^```$/gm)]
  .map(([, code = '']) => code)
  .filter((code) => code.includes(address));

/** A program of the README, run as a reader would. */
class RunningProgram {
  output = '';
  readonly process: ChildProcess;

  constructor(file: string, token: string | undefined) {
    const { PATH } = process.env;
    this.process = spawn(process.execPath, [file], {
      env: { PATH, ...(token !== undefined && { TOKEN: token }) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    endsWithTests(this.process);
    for (const stream of [this.process.stdout!, this.process.stderr!])
      stream.on('data', (data: Buffer) => (this.output += data.toString()));
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  async prints(...wanted: RegExp[]): Promise<void> {
    const isThere = () => wanted.every((regex) => regex.test(this.output));
    await until(isThere, `output that matches ${wanted.join(' and ')}`).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.output}`);
    });
  }
}

describe('[DOCS] the programs of README.md', function () {
  const directory = mkdtempSync(join(tmpdir(), 'rtc-readme-'));
  const running: RunningProgram[] = [];
  let service: Service;
  let url: string;
  let files = 0;

  before(async () => {
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
    ({ service, url } = await startEmbedded({ LOG_LEVEL: 'off' }));
  });

  afterEach(() => {
    for (const program of running.splice(0)) program.process.kill('SIGKILL');
  });

  after(async () => {
    await service.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const run = (code: string, token: string | undefined, target = url) => {
    const file = join(directory, `program-${files++}.mjs`);
    writeFileSync(file, code.replaceAll(address, target));
    const program = new RunningProgram(file, token);
    running.push(program);
    return program;
  };
  const publish = (payload: number) =>
    fetch(`${url}/api/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tokenOf('bob')}` },
      body: JSON.stringify({ topic: 'news', payload }),
    });

  it('are two: one that talks, one that recovers', () => {
    assert.equal(programs.length, 2);
  });

  it('subscribe, publish, and print the message', async () => {
    await run(programs[0]!, tokenOf('ann')).prints(
      /rejected: \[\]/,
      /news \d+ \{ hi: 1 \} ann/,
      /durability: 'memory'/,
    );
  });

  it('say why they are refused, and end, with a wrong token and without one', async () => {
    for (const code of programs) {
      for (const token of ['nonsense', undefined]) {
        const program = run(code, token);
        await program.prints(/unauthorized: /);
        await until(() => program.hasEnded, 'the program has ended');
        assert.equal(program.process.exitCode, 0);
      }
    }
  });

  it('print what was published while they were disconnected', async () => {
    const subscribed = () => service.io.of('/').adapter.rooms.get('topic:news')?.size === 1;
    const program = run(programs[1]!, tokenOf('ann'));
    await until(subscribed, 'the program has subscribed');
    await publish(101);
    await program.prints(/news \d+ 101/);
    for (const socket of service.io.of('/').sockets.values()) socket.conn.close();
    await until(() => !subscribed(), 'the connection has ended');
    await publish(102);
    await until(subscribed, 'the program has come back');
    await publish(103);
    await program.prints(/news \d+ 101\nnews \d+ 102\nnews \d+ 103\n/);
    assert.doesNotMatch(program.output, /lost/);
  });

  it('go on when the connection drops before the answer', async () => {
    const http: HttpServer = createServer();
    const io = new Server(http);
    io.on('connection', (socket) => void socket.onAny(() => socket.conn.close()));
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const target = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    try {
      for (const code of programs) {
        const program = run(code, tokenOf('ann'), target);
        await program.prints(/(no answer|not subscribed): .*\n[\s\S]*(no answer|not subscribed): /);
        assert.equal(program.hasEnded, false);
      }
    } finally {
      await io.close();
    }
  });
});
