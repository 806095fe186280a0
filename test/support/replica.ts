import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { endsWithTests } from './ends-with-tests.js';
import { freePort, until } from './wait.js';
import { root } from './root.js';

/** The secret for tokens in all tests. */
export const secret = 'a secret for tests';

/** A token of a user. */
export function tokenOf(userId: string, claims: object = {}): string {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  return jwt.sign({ sub: userId, roles: ['user'], exp, ...claims }, secret);
}

const dist = join(root, 'dist');
/** The program of `npm start`, and a program that embeds the service with hooks. */
const programs = {
  main: join(dist, 'server', 'main.js'),
  hooked: join(dist, 'test', 'support', 'hooked-replica.js'),
};

/**
 * The default young generation of V8 up to Node 22; from Node 24 on the default is twice that. Tests limit
 * the memory of the process, and a limit that is right for one default is too low or too high for the other.
 */
const youngGeneration = '--max-semi-space-size=16';

/** A replica as its own process. */
export class TestReplica {
  private child: ChildProcess | undefined;
  output = '';

  private constructor(
    readonly port: number,
    private readonly environment: NodeJS.ProcessEnv,
    private readonly onOutput?: (data: Buffer) => void,
    private readonly program: keyof typeof programs = 'main',
  ) {}

  static async start(
    environment: NodeJS.ProcessEnv = {},
    onOutput?: (data: Buffer) => void,
    program?: keyof typeof programs,
  ): Promise<TestReplica> {
    const replica = new TestReplica(await freePort(), environment, onOutput, program);
    await replica.run();
    return replica;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get webSocketUrl(): string {
    return `ws://127.0.0.1:${this.port}/ws`;
  }

  async run(): Promise<void> {
    const { HOME, PATH } = process.env;
    const child = spawn(process.execPath, [youngGeneration, programs[this.program]], {
      env: {
        HOME,
        PATH,
        JWT_SECRET: secret,
        HOST: '127.0.0.1',
        PORT: String(this.port),
        LOG_LEVEL: 'warn',
        // Tests of the drain set it.
        RTC_SERVER_DRAIN_WINDOW_SECS: '0',
        ...this.environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    endsWithTests(child);
    this.child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => {
        this.output += data.toString();
        this.onOutput?.(data);
      });
    await until(
      async () => {
        if (child.exitCode !== null)
          throw new Error(`the replica ended with ${child.exitCode}: ${this.output}`);
        const response = await fetch(`${this.url}/health/live`).catch(() => undefined);
        return response?.ok === true;
      },
      'the replica listens',
      20_000,
    );
  }

  async json<Body>(path: string, init?: RequestInit): Promise<Body> {
    const response = await fetch(this.url + path, init);
    return (await response.json()) as Body;
  }

  /** Stops or continues the process. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.child?.kill(name);
  }

  /** Sends a signal. Resolves to the exit code when the process has ended. */
  async end(name: 'SIGKILL' | 'SIGTERM' = 'SIGTERM'): Promise<number | null> {
    const { child } = this;
    if (child === undefined) return null;
    this.child = undefined;
    child.kill(name);
    await until(() => child.exitCode !== null || child.signalCode !== null, 'the replica has ended', 20_000);
    return child.exitCode;
  }
}
