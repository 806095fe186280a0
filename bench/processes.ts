import { fork, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import jwt from 'jsonwebtoken';
import { freePort } from './free-port.js';
import { Inspector } from './inspector.js';
import type { LoadMessage, LoadPlan, LoadResult } from './load.js';

/** What a side is. */
export type SideName =
  | 'rtc'
  | 'rtc-alone'
  | 'rtc-before'
  | 'rtc-alone-before'
  | 'plain'
  | 'plain-alone'
  | 'plain-recovery'
  | 'ws'
  | 'uws'
  | 'layer';

/** Sides of one process, without Redis. */
const alone: readonly SideName[] = [
  'rtc-alone',
  'rtc-alone-before',
  'plain-alone',
  'plain-recovery',
  'uws',
  'layer',
];

/** How a side is started. */
export interface SideOptions {
  /** With an inspector, for {@link Side.collectGarbage}. */
  readonly inspect?: boolean;
  /** Root of another checkout of this project, built: what the sides `…-before` run. */
  readonly before?: string | undefined;
  /** Number of servers that share a Redis. */
  readonly replicas?: number;
  /** The Node that runs the servers. */
  readonly node?: string;
  /** Added to the environment of the servers. */
  readonly environment?: NodeJS.ProcessEnv;
  /** A script that each server loads before its own code. */
  readonly preload?: string;
}

/** The Node that runs the servers of all sides, unless a side has its own. */
const serverNode = process.env['BENCH_NODE'] ?? process.execPath;

/** The version of the Node that runs the servers, as `v20.19.0`. */
export function serverVersion(node = serverNode): string {
  return spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
}

export const secret = 'a secret for benchmarks, of 32 bytes and more';
const ticksPerSec = 100;
const root = join(__dirname, '..', '..');

/** A token of a user, for an hour. */
export function tokenFor(userId: string, roles: readonly string[]): string {
  return jwt.sign({ sub: userId, roles }, secret, { expiresIn: '1h' });
}

/** Processor seconds that a process has used, as reported by the operating system. */
export function cpuSecsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSec;
}

/** Processor seconds that all processes of the machine have used together. */
export function machineCpuSecs(): number {
  const [, user, nice, system, , , irq, softIrq, steal] = readFileSync('/proc/stat', 'utf8').split(/\s+/, 9);
  return (
    [user, nice, system, irq, softIrq, steal].reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSec
  );
}

/** The servers of one side, with their Redis. */
export class Side {
  private readonly children: ChildProcess[] = [];
  private directory: string | undefined;
  private redisUrl: string | undefined;
  readonly ports: number[] = [];

  private constructor(
    readonly name: SideName,
    private readonly options: SideOptions,
  ) {}

  static async start(name: SideName, options: SideOptions = {}): Promise<Side> {
    const side = new Side(name, options);
    const isAlone = alone.includes(name);
    try {
      if (!isAlone) side.redisUrl = await side.startRedis();
      for (let replica = 0; replica < (isAlone ? 1 : (options.replicas ?? 2)); replica++) {
        side.ports.push(await freePort());
        await side.startServer(replica);
      }
    } catch (error) {
      await side.stop();
      throw error;
    }
    return side;
  }

  /** Ends a server as a deployment does, and starts it again on its port. Calls back when it has ended. */
  async restart(replica: number, onEnd: () => void): Promise<void> {
    const child = this.servers[replica]!;
    child.removeAllListeners('exit');
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
    onEnd();
    this.children.splice(this.children.indexOf(child), 1);
    await this.startServer(replica);
  }

  /** Processor seconds used by servers and Redis, as reported by the operating system. */
  cpuSecs(only: 'all' | 'servers' = 'all'): number {
    let secs = 0;
    for (const { pid } of only === 'all' ? this.children : this.servers) secs += cpuSecsOf(pid!);
    return secs;
  }

  /** Resident memory of the servers, without Redis, in bytes. */
  memoryBytes(): number {
    return this.servers.reduce(
      (sum, { pid }) =>
        // A process that has just ended has no memory.
        sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024,
      0,
    );
  }

  /** Runs the garbage collector of the servers (they were started with an inspector for this). */
  async collectGarbage(): Promise<void> {
    for (const port of this.inspectPorts) {
      const inspector = await Inspector.connect(port);
      await inspector.collectGarbage();
      inspector.close();
    }
  }

  /** Asks what a preloaded script answers, of each server. */
  ask<Answer extends object>(question: string): Promise<Answer[]> {
    const answerOf = (server: ChildProcess) =>
      new Promise<Answer>((resolve) => {
        server.once('message', (answer) => resolve(answer as Answer));
        server.send(question);
      });
    return Promise.all(this.servers.map(answerOf));
  }

  get running(): boolean {
    return this.children.every(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  }

  /** Calls back if a server ends unexpectedly. */
  onServerEnd(listener: (error: Error) => void): void {
    for (const child of this.servers)
      child.once('exit', (code) => listener(new Error(`a server of ${this.name} ended with ${code}`)));
  }

  async stop(): Promise<void> {
    for (const child of this.children) child.removeAllListeners('exit');
    // Servers stop before their Redis.
    for (const child of [...this.children].reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill(process.env['BENCH_CPU_PROFILE'] === undefined ? 'SIGKILL' : 'SIGTERM');
      await gone;
    }
    if (this.directory !== undefined) rmSync(this.directory, { recursive: true, force: true });
  }

  private servers: ChildProcess[] = [];
  private readonly inspectPorts: number[] = [];

  private async startRedis(): Promise<string> {
    const port = await freePort();
    this.directory = mkdtempSync(join(tmpdir(), 'rtc-bench-'));
    const child = spawn(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--dir', this.directory, '--save', ''],
      { stdio: 'ignore' },
    );
    this.children.push(child);
    await sleep(300);
    return `redis://127.0.0.1:${port}`;
  }

  private async startServer(replica: number): Promise<void> {
    const { redisUrl } = this;
    const { inspect = false, before = root, node = serverNode, environment, preload } = this.options;
    const scripts: Record<SideName, string> = {
      rtc: join(root, 'dist/server/main.js'),
      'rtc-alone': join(root, 'dist/server/main.js'),
      'rtc-before': join(before, 'dist/server/main.js'),
      'rtc-alone-before': join(before, 'dist/server/main.js'),
      plain: join(root, 'dist/bench/sides/plain-socketio.js'),
      'plain-alone': join(root, 'dist/bench/sides/plain-socketio.js'),
      'plain-recovery': join(root, 'dist/bench/sides/plain-socketio.js'),
      ws: join(root, 'dist/bench/sides/plain-ws.js'),
      uws: join(root, 'dist/bench/sides/uws.js'),
      layer: join(root, 'dist/bench/sides/layer.js'),
    };
    const execArgv = ['--max-semi-space-size=16'];
    if (preload !== undefined) execArgv.push('--require', preload);
    if (inspect) {
      const inspectPort = await freePort();
      this.inspectPorts.push(inspectPort);
      execArgv.push(`--inspect=127.0.0.1:${inspectPort}`);
    }
    const profile = process.env['BENCH_CPU_PROFILE'];
    if (profile !== undefined) execArgv.push('--cpu-prof', `--cpu-prof-dir=${profile}`);
    const { PATH, HOME } = process.env;
    const child = fork(scripts[this.name], [], {
      execPath: node,
      execArgv,
      env: {
        PATH,
        HOME,
        NODE_ENV: 'production',
        JWT_SECRET: secret,
        HOST: '127.0.0.1',
        PORT: String(this.ports[replica]),
        // Without the warnings about settings that are not for the internet.
        LOG_LEVEL: 'error',
        // All clients of a benchmark have one address.
        RTC_WEBSOCKET_MAX_CONNECTIONS_PER_ADDRESS: '0',
        RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '0',
        UWS: uwsDirectory,
        ...(redisUrl !== undefined && { REDIS_URL: redisUrl }),
        ...(this.name.startsWith('rtc') && { REPLICA_ID: `r${replica}` }),
        ...(this.name === 'plain-recovery' && { RECOVERY: 'on' }),
        ...environment,
      },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.children.push(child);
    this.servers[replica] = child;
    await new Promise<void>((resolve, reject) => {
      child.on('message', (message) => message === 'ready' && resolve());
      child.once('exit', (code) => reject(new Error(`a server of ${this.name} ended with ${code}`)));
    });
  }
}

/** The result of one measurement. */
export interface Measurement extends LoadResult {
  readonly cpuSecs: number;
  /** Processor seconds of the servers, without Redis. */
  readonly serverCpuSecs: number;
  /** Processor seconds of the load process. */
  readonly loadCpuSecs: number;
  /** Processor seconds of everything else on the machine. */
  readonly otherCpuSecs: number;
  /** Processor seconds of the servers while the clients connected. */
  readonly connectCpuSecs: number;
  readonly memoryBytes: number;
  /** Memory at the start of the window, and the maximum within it, in bytes. */
  readonly memoryAtStart: number;
  readonly memoryPeak: number;
}

/** The part of a plan that does not depend on the side. */
export type Work = Omit<LoadPlan, 'ports' | 'wire' | 'path' | 'tokens'>;

/** Runs a plan against a side. */
export async function measure(side: Side, work: Work, onStart?: () => Promise<void>): Promise<Measurement> {
  const socketio = side.name.startsWith('rtc') || side.name.startsWith('plain') || side.name === 'layer';
  const tokens = Array.from({ length: 100 }, (_, n) => tokenFor(`user-${n}`, ['user']));
  const plan: LoadPlan = {
    ...work,
    ports: side.ports,
    tokens,
    wire: socketio ? 'socketio' : 'json',
    path: socketio ? '/socket.io/?EIO=4&transport=websocket' : '/',
  };
  const child = fork(join(__dirname, 'load.js'), [JSON.stringify(plan)], {
    execArgv: ['--max-semi-space-size=64'],
  });
  let cpuAtStart = 0;
  let cpuSecs = 0;
  let serverCpuSecs = 0;
  let serverCpuAtStart = 0;
  let loadCpuAtStart = 0;
  let loadCpuSecs = 0;
  let machineCpuAtStart = 0;
  let otherCpuSecs = 0;
  const cpuBefore = side.cpuSecs('servers');
  let connectCpuSecs = 0;
  let memoryAtStart = 0;
  let memoryPeak = 0;
  const look = setInterval(() => {
    if (side.running) memoryPeak = Math.max(memoryPeak, side.memoryBytes());
  }, 250);
  try {
    const result = await new Promise<LoadResult>((resolve, reject) => {
      child.on('message', (message: LoadMessage) => {
        if (message.at === 'ready') connectCpuSecs = side.cpuSecs('servers') - cpuBefore;
        else if (message.at === 'start') {
          cpuAtStart = side.cpuSecs();
          serverCpuAtStart = side.cpuSecs('servers');
          loadCpuAtStart = cpuSecsOf(child.pid!);
          machineCpuAtStart = machineCpuSecs();
          memoryAtStart = side.memoryBytes();
          memoryPeak = memoryAtStart;
          onStart?.().catch(reject);
        } else if (message.at === 'end') {
          cpuSecs = side.cpuSecs() - cpuAtStart;
          serverCpuSecs = side.cpuSecs('servers') - serverCpuAtStart;
          loadCpuSecs = cpuSecsOf(child.pid!) - loadCpuAtStart;
          otherCpuSecs = Math.max(0, machineCpuSecs() - machineCpuAtStart - cpuSecs - loadCpuSecs);
        } else if (message.at === 'done') resolve(message.result);
      });
      child.once('exit', (code) => reject(new Error(`the load process ended with ${code}`)));
      side.onServerEnd((error) => {
        child.kill('SIGKILL');
        reject(error);
      });
    });
    return {
      ...result,
      cpuSecs,
      serverCpuSecs,
      loadCpuSecs,
      otherCpuSecs,
      connectCpuSecs,
      memoryBytes: side.memoryBytes(),
      memoryAtStart,
      memoryPeak,
    };
  } finally {
    clearInterval(look);
  }
}

const uwsVersion = '20.30.0-unofficial.0';
const uwsHome = join(root, '.tmp', 'uws');
const uwsDirectory = join(uwsHome, 'node_modules', '@trufflesuite', 'uws-js-unofficial');

/**
 * Installs uWebSockets.js for the comparison, outside the project's own packages. Returns the reason if that
 * is not possible.
 */
export function obtainUws(): string | undefined {
  if (!existsSync(uwsDirectory)) {
    mkdirSync(uwsHome, { recursive: true });
    writeFileSync(join(uwsHome, 'package.json'), '{"private":true}');
    const { status } = spawnSync(
      'npm',
      [
        'install',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        `@trufflesuite/uws-js-unofficial@${uwsVersion}`,
      ],
      { cwd: uwsHome, stdio: 'ignore' },
    );
    if (status !== 0) return 'uWebSockets.js cannot be installed here';
  }
  const { status } = spawnSync(serverNode, ['-e', 'require(process.argv[1]).App()', uwsDirectory], {
    stdio: 'ignore',
  });
  return status === 0 ? undefined : 'uWebSockets.js does not load on this Node';
}
