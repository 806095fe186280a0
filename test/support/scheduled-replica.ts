import { join } from 'node:path';
import { MainProcess } from './main-process.js';
import { root } from './root.js';
import { freePort } from './wait.js';

/** Drains end within their window and this time, or by force. */
const shutdownTimeoutMs = 8000;

/** Half an hour: tokens of the tests stay valid. */
const clockJumpMs = 1_800_000;

const clockShift = join(root, 'dist', 'bench', 'chaos', 'faults', 'clock-shift.js');

/** One of the replicas of a schedule of drains: a place, where one process follows another. */
export class ScheduledReplica {
  private main!: MainProcess;
  private isStarting = true;
  private drainedAt: number | undefined;
  private wasKilled = false;
  private wasForced = false;
  /** Redis was unreachable meanwhile: it may end by force. */
  hadTrouble = false;

  private constructor(
    readonly name: string,
    readonly port: number,
    readonly windowSecs: number,
    private readonly redisUrl: string,
  ) {}

  static async start(name: string, windowSecs: number, redisUrl: string): Promise<ScheduledReplica> {
    const replica = new ScheduledReplica(name, await freePort(), windowSecs, redisUrl);
    await replica.launch();
    return replica;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get hasEnded(): boolean {
    return this.main.hasEnded;
  }

  /** Whether it has clients, and may get more. */
  get isInService(): boolean {
    return this.drainedAt === undefined && !this.isStarting && !this.main.hasEnded;
  }

  get isDraining(): boolean {
    return this.drainedAt !== undefined && !this.main.hasEnded;
  }

  get drainsForMs(): number {
    return this.drainedAt === undefined ? 0 : performance.now() - this.drainedAt;
  }

  async listens(): Promise<void> {
    await this.main.hasLogged('Listening', 60_000);
    this.isStarting = false;
  }

  drainBegins(): void {
    this.drainedAt = performance.now();
  }

  terminate(): void {
    this.main.signal('SIGTERM');
  }

  /** A second signal of somebody who does not want to wait. */
  force(): void {
    this.wasForced = true;
    this.main.signal('SIGTERM');
  }

  killNow(): void {
    this.wasKilled = true;
    this.main.signal('SIGKILL');
  }

  jumpClock(): void {
    this.main.signal('SIGUSR2');
  }

  /** Resolves, when the drained process has ended, to what it did and what was wrong with that. */
  async ended(): Promise<{ did: string; problems: string[] }> {
    const { main, name } = this;
    const limitMs = this.windowSecs * 1000 + shutdownTimeoutMs;
    const code = await main.ended(limitMs + 10_000);
    const tookMs = Math.round(this.drainsForMs);
    const problems = this.logProblems();
    // The end of a process may be seen late.
    if (tookMs > limitMs + 1500) problems.push(`${name} took ${tookMs} ms`);
    if (!this.mayEndWith(code)) problems.push(`${name} ended with ${code}: ${main.output.slice(-3000)}`);
    const moved = main.logged('Drained').map((line) => `moved ${line['moved']} forced ${line['forced']}`);
    return { did: `${name} ended with ${code} after ${tookMs} ms; ${moved.join()}`, problems };
  }

  /** Starts the next process, when the present one has ended. */
  async replace(): Promise<void> {
    this.drainedAt = undefined;
    this.wasKilled = this.wasForced = this.hadTrouble = false;
    this.isStarting = true;
    await this.launch();
    await this.listens();
  }

  /** Lines of the log that say that the service has a bug. */
  logProblems(): string[] {
    const lines = this.main.output.split('\n');
    const bugs = lines.filter((line) => /Uncaught|Unhandled|"internal"|TypeError/.test(line));
    return bugs.slice(0, 3).map((line) => `${this.name}: ${line}`);
  }

  /** For the end of the schedule. */
  stop(): Promise<void> {
    return this.main.kill();
  }

  private async launch(): Promise<void> {
    this.main = await MainProcess.start({
      PORT: String(this.port),
      REDIS_URL: this.redisUrl,
      REPLICA_ID: this.name,
      RTC_SERVER_DRAIN_WINDOW_SECS: String(this.windowSecs),
      RTC_SERVER_SHUTDOWN_TIMEOUT_MS: String(shutdownTimeoutMs),
      RTC_TOPICS_HISTORY_SIZE: '100000',
      CLOCK_JUMP_MS: String(clockJumpMs),
      NODE_OPTIONS: `--require ${clockShift}`,
    });
  }

  private mayEndWith(code: number | string | null): boolean {
    if (code === 0) return true;
    if (this.wasKilled) return code === 'SIGKILL';
    if (code !== 3) return false;
    return this.wasForced || (this.hadTrouble && this.main.logged('Stopped by force').length > 0);
  }
}
