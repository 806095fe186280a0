import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { spawn, type ChildProcess } from 'node:child_process';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endsWithTests } from './ends-with-tests.js';
import { serverProgram } from './redis.js';
import { freePort, until } from './wait.js';

/** The name of the primary in tests. */
export const masterName = 'main';

/** One Sentinel for one test: a free port, real signals. */
export class TestSentinel {
  private child: ChildProcess | undefined;
  private readonly directory = mkdtempSync(join(tmpdir(), 'rtc-sentinel-'));

  private constructor(readonly port: number) {}

  /** `more`: further lines of its configuration. */
  static async start(redisPort: number, more: readonly string[] = []): Promise<TestSentinel> {
    const sentinel = new TestSentinel(await freePort());
    sentinel.configure(redisPort, more);
    await sentinel.run();
    return sentinel;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async run(): Promise<void> {
    const child = spawn(serverProgram, [this.file, '--sentinel'], { stdio: 'ignore' });
    endsWithTests(child);
    this.child = child;
    await until(() => this.accepts(), 'the Sentinel answers', 20_000);
  }

  /** It watches another Redis from now on, with this configuration epoch. */
  async monitor(redisPort: number, configEpoch: number): Promise<void> {
    await this.signal('SIGKILL');
    this.configure(redisPort, [`sentinel config-epoch ${masterName} ${configEpoch}`]);
    await this.run();
  }

  async signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const { child } = this;
    if (child === undefined) return;
    child.kill(name);
    if (name !== 'SIGKILL') return;
    await until(() => child.exitCode !== null || child.signalCode !== null, 'the Sentinel has ended');
    this.child = undefined;
  }

  async stop(): Promise<void> {
    await this.signal('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  private configure(redisPort: number, more: readonly string[]): void {
    const lines = [
      `port ${this.port}`,
      'bind 127.0.0.1',
      `dir ${this.directory}`,
      // Alone it never finds a majority: it promotes nothing by itself.
      `sentinel monitor ${masterName} 127.0.0.1 ${redisPort} 2`,
      ...more,
      '',
    ];
    writeFileSync(this.file, lines.join('\n'));
  }

  private get file(): string {
    return join(this.directory, 'sentinel.conf');
  }

  private async accepts(): Promise<boolean> {
    const socket = connect(this.port, '127.0.0.1').on('error', () => {});
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return false;
    } finally {
      socket.destroy();
    }
  }
}
