import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.js';
import { attackSecret } from './preparation.js';

/** Log lines that tell of a bug. */
const bugs =
  /Uncaught|Unhandled|Command failed|Frame failed|Request failed|Answer failed|Admin request failed/;

/** The service in a process of its own, with its own Redis if it needs one. */
export class ServiceUnderAttack {
  private readonly children: ChildProcess[] = [];
  private readonly directory = mkdtempSync(join(tmpdir(), 'rtc-attack-'));
  private service: ChildProcess | undefined;
  private redis: ChildProcess | undefined;
  private unfinishedLine = '';
  private largestRss = 0;
  private watch: NodeJS.Timeout | undefined;
  port = 0;
  loggedBytes = 0;
  bugLine: string | undefined;

  /** @param app root of the built checkout whose service is started */
  static async start(app: string, withRedis: boolean): Promise<ServiceUnderAttack> {
    const service = new ServiceUnderAttack();
    try {
      await service.run(app, withRedis ? await service.startRedis() : undefined);
      return service;
    } catch (error) {
      await service.stop();
      throw error;
    }
  }

  get isAlive(): boolean {
    return this.service?.exitCode === null && this.service.signalCode === null;
  }

  /** Resident memory in bytes. */
  rss(): number {
    if (!this.isAlive) return this.largestRss;
    const status = readFileSync(`/proc/${this.service!.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  }

  /** From now on the largest memory is noted. */
  watchMemory(): void {
    this.largestRss = this.rss();
    this.watch = setInterval(() => (this.largestRss = Math.max(this.largestRss, this.rss())), 100);
  }

  get largestRssBytes(): number {
    return this.largestRss;
  }

  stallRedis(): void {
    this.redis?.kill('SIGSTOP');
  }

  continueRedis(): void {
    this.redis?.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    clearInterval(this.watch);
    this.continueRedis();
    for (const child of this.children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async startRedis(): Promise<string> {
    const port = await freePort();
    this.redis = spawn(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--dir', this.directory, '--save', ''],
      { stdio: 'ignore' },
    );
    this.children.push(this.redis);
    await sleep(300);
    return `redis://127.0.0.1:${port}`;
  }

  private async run(app: string, redisUrl: string | undefined): Promise<void> {
    this.port = await freePort();
    const { PATH, HOME } = process.env;
    // The young generation has the same size with every version of Node, so that memory can be compared.
    const child = spawn(process.execPath, ['--max-semi-space-size=16', join(app, 'dist/server/main.js')], {
      cwd: this.directory,
      env: {
        PATH,
        HOME,
        NODE_ENV: 'production',
        JWT_SECRET: attackSecret,
        HOST: '127.0.0.1',
        // The attacker comes from another address: it is no proxy.
        RTC_SERVER_TRUSTED_PROXIES: '["127.0.0.1"]',
        PORT: String(this.port),
        LOG_LEVEL: 'warn',
        ...(redisUrl !== undefined && { REDIS_URL: redisUrl }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.service = child;
    this.children.push(child);
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => this.onOutput(data.toString()));
    for (let attempt = 0; ; attempt++) {
      if (!this.isAlive) throw new Error(`the service ended: ${this.unfinishedLine}`);
      const answer = await fetch(`http://127.0.0.1:${this.port}/health/ready`).catch(() => undefined);
      if (answer?.ok === true) return;
      if (attempt === 200) throw new Error('the service is not ready in time');
      await sleep(100);
    }
  }

  private onOutput(text: string): void {
    this.loggedBytes += text.length;
    const lines = (this.unfinishedLine + text).split('\n');
    this.unfinishedLine = lines.pop()!.slice(-10_000);
    this.bugLine ??= lines.find((line) => bugs.test(line))?.slice(0, 600);
  }
}
