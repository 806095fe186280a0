import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, killNow, own } from './child.js';
import { freePort } from '../../free-port.js';
import { need, waitUntil } from './wait.js';

/** The secret of tokens in runs. */
export const chaosSecret = 'a secret for chaos runs, of 32 bytes and more';

/** Log lines that tell of a bug. */
const bugs =
  /Uncaught|Unhandled|Command failed|Frame failed|Request failed|Answer failed|Admin request failed/;

/** A replica is waited for this long when it has to end. */
const endLimitMs = 20_000;

/** How a replica is started. */
export interface ReplicaPlan {
  readonly name: string;
  /** Root of a built checkout. */
  readonly app: string;
  readonly redisPort: number;
  readonly environment?: NodeJS.ProcessEnv;
  /** How far its clock is ahead, in milliseconds. */
  readonly clockShiftMs?: number;
}

/** One process of the service. */
export class Replica {
  private child: ChildProcess | undefined;
  private unfinishedLine = '';
  private log = '';

  constructor(
    readonly port: number,
    private plan: ReplicaPlan,
    private readonly onBug: (line: string) => void,
  ) {}

  static async start(plan: ReplicaPlan, onBug: (line: string) => void): Promise<Replica> {
    const replica = new Replica(await freePort(), plan, onBug);
    await replica.run();
    return replica;
  }

  get name(): string {
    return this.plan.name;
  }

  /** Root of the checkout that it runs. */
  get app(): string {
    return this.plan.app;
  }

  get isRunning(): boolean {
    return isAlive(this.child);
  }

  /** The last lines of its log. */
  get lastLines(): string {
    return this.log.slice(-4000);
  }

  /** Starts the process, also again, perhaps of another checkout. Resolves when it listens. */
  async run(app = this.plan.app): Promise<void> {
    this.plan = { ...this.plan, app };
    const { PATH, HOME } = process.env;
    const shift = this.plan.clockShiftMs;
    const preload =
      shift === undefined ? [] : ['--require', join(__dirname, '..', 'faults', 'clock-shift.js')];
    const child = own(
      spawn(process.execPath, [...preload, join(app, 'dist', 'server', 'main.js')], {
        env: {
          PATH,
          HOME,
          JWT_SECRET: chaosSecret,
          HOST: '127.0.0.1',
          PORT: String(this.port),
          REPLICA_ID: this.plan.name,
          REDIS_URL: `redis://127.0.0.1:${this.plan.redisPort}`,
          LOG_LEVEL: 'info',
          ...(shift !== undefined && { CLOCK_SHIFT_MS: String(shift) }),
          ...this.plan.environment,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    this.child = child;
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (data: Buffer) => this.onOutput(data.toString()));
    await need(async () => {
      if (!isAlive(child)) throw new Error(`replica ${this.name} ended: ${this.lastLines}`);
      return (await this.health('live')) === 200;
    }, `replica ${this.name} listens`);
  }

  /** Resolves when it takes traffic; false if it does not in time. */
  whenReady(limitMs = 20_000): Promise<boolean> {
    return waitUntil(async () => (await this.health('ready')) === 200, limitMs, 100);
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    if (isAlive(this.child)) this.child?.kill(name);
  }

  kill(): Promise<void> {
    return killNow(this.child);
  }

  /** Sends SIGTERM. Resolves to the exit code, or null if the process had to be killed, and to the time it took. */
  async terminate(): Promise<{ exitCode: number | null; tookMs: number }> {
    const { child } = this;
    if (child === undefined || !isAlive(child)) return { exitCode: child?.exitCode ?? null, tookMs: 0 };
    const startedAt = performance.now();
    child.kill('SIGTERM');
    await waitUntil(() => !isAlive(child), endLimitMs);
    const tookMs = performance.now() - startedAt;
    await killNow(child);
    return { exitCode: child.exitCode, tookMs };
  }

  /** Resident memory in bytes; 0 while it does not run. */
  rssBytes(): number {
    if (!isAlive(this.child)) return 0;
    const status = readFileSync(`/proc/${this.child!.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  }

  private async health(part: 'live' | 'ready'): Promise<number | undefined> {
    const answer = await fetch(`http://127.0.0.1:${this.port}/health/${part}`, {
      signal: AbortSignal.timeout(1000),
    }).catch(() => undefined);
    return answer?.status;
  }

  private onOutput(text: string): void {
    this.log = (this.log + text).slice(-20_000);
    const lines = (this.unfinishedLine + text).split('\n');
    this.unfinishedLine = lines.pop()!.slice(-10_000);
    for (const line of lines) if (bugs.test(line)) this.onBug(line.slice(0, 600));
  }
}
