import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { endsWithTests } from './ends-with-tests.js';
import { secret } from './replica.js';
import { root } from './root.js';
import { freePort, until } from './wait.js';

/** The program of `npm start`, from the first moment on: a test need not wait until it listens. */
export class MainProcess {
  output = '';
  private readonly child: ChildProcess;

  private constructor(
    readonly port: number,
    environment: NodeJS.ProcessEnv,
  ) {
    const { HOME, PATH } = process.env;
    this.child = spawn(process.execPath, [join(root, 'dist', 'server', 'main.js')], {
      env: {
        HOME,
        PATH,
        JWT_SECRET: secret,
        HOST: '127.0.0.1',
        PORT: String(port),
        // Tests of the drain set it.
        RTC_SERVER_DRAIN_WINDOW_SECS: '0',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    endsWithTests(this.child);
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.on('data', (data: Buffer) => (this.output += data.toString()));
  }

  static async start(environment: NodeJS.ProcessEnv = {}): Promise<MainProcess> {
    return new MainProcess(await freePort(), environment);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Lines of the log with this message. */
  logged(message: string): Record<string, unknown>[] {
    return this.output
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line['message'] === message);
  }

  async hasLogged(message: string, limitMs = 20_000): Promise<void> {
    await until(
      () => {
        if (this.logged(message).length > 0) return true;
        if (this.hasEnded) throw new Error(`it has ended: ${this.output}`);
        return false;
      },
      `the log has ${message}: ${this.output}`,
      limitMs,
    );
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Resolves to the exit code, or to the signal that ended the process. */
  async ended(limitMs = 20_000): Promise<number | string | null> {
    await until(() => this.hasEnded, 'the process has ended', limitMs);
    return this.child.exitCode ?? this.child.signalCode;
  }

  /** For the end of a test. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended();
  }
}
