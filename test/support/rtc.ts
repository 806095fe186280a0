import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { secret } from './replica.js';
import { root } from './root.js';
import { until } from './wait.js';

export const rtcProgram = join(root, 'dist', 'server', 'cli', 'rtc.js');

const schemas = JSON.parse(readFileSync(join(root, 'docs', 'cli.schema.json'), 'utf8')) as object;
const ajv = new Ajv({ strict: false }).addSchema(schemas, 'cli');

/** What a finished `rtc` has written, and its exit code. */
export interface RtcResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** For files of the tests of one process; it is removed with it. */
export const scratch = mkdtempSync(join(tmpdir(), 'rtc-cli-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** Variables of an `rtc` that finds no profiles of the developer. */
export function rtcEnvironment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH, HOME, JWT_SECRET: secret, XDG_CONFIG_HOME: join(scratch, 'none'), ...more };
}

/** A running `rtc`. */
export class RtcProcess {
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;
  private code: number | null | undefined;

  constructor(args: readonly string[], environment: NodeJS.ProcessEnv, input?: string) {
    this.child = spawn(process.execPath, [rtcProgram, ...args], {
      env: rtcEnvironment(environment),
      cwd: scratch,
      stdio: 'pipe',
    });
    this.child.stdout!.on('data', (data: Buffer) => (this.stdout += data.toString()));
    this.child.stderr!.on('data', (data: Buffer) => (this.stderr += data.toString()));
    this.child.once('close', (code) => (this.code = code));
    this.child.stdin!.end(input);
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  async ended(limitMs = 25_000): Promise<RtcResult> {
    try {
      await until(() => this.code !== undefined, 'rtc has ended', limitMs);
    } catch (error) {
      this.child.kill('SIGKILL');
      throw new Error(`${(error as Error).message}: ${this.stdout}\n${this.stderr}`, { cause: error });
    }
    return { code: this.code!, stdout: this.stdout, stderr: this.stderr };
  }
}

/** Runs `rtc` until it ends. */
export function rtc(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  input = '',
  limitMs?: number,
): Promise<RtcResult> {
  return new RtcProcess(args, environment, input).ended(limitMs);
}

/** The result of a command with `--json`, one value for each line. @throws Error if it does not fit docs/cli.schema.json */
export function validJson<Value>(
  command: string,
  { stdout, stderr }: Pick<RtcResult, 'stdout' | 'stderr'>,
): Value[] {
  const validate = ajv.getSchema(`cli#/$defs/${encodeURIComponent(command)}`);
  if (validate === undefined) throw new Error(`docs/cli.schema.json has no definition ${command}`);
  const lines = stdout.split('\n').filter((line) => line !== '');
  if (lines.length === 0) throw new Error(`${command} has printed nothing: ${stderr}`);
  return lines.map((line) => {
    const value = JSON.parse(line) as Value;
    if (!validate(value)) throw new Error(`${command}: ${ajv.errorsText(validate.errors)}: ${line}`);
    return value;
  });
}
