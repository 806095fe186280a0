import { spawn } from 'node:child_process';
import { writeFileSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import type { Socket } from 'socket.io-client';
import { ok } from './admin.js';
import { connectClient } from './clients.js';
import { endsWithTests } from './ends-with-tests.js';
import { TestRedis } from './redis.js';
import { TestReplica, tokenOf } from './replica.js';
import { root } from './root.js';
import { rtc, scratch, validJson, type RtcResult } from './rtc.js';
import { freePort, until } from './wait.js';

/** What `rtc doctor --json` prints, as far as tests read it. */
export interface DoctorAnswer {
  readonly verdict: string;
  readonly checks: readonly {
    readonly code: string | null;
    readonly text: string;
    readonly remedy: string | null;
  }[];
}

/** A real service with faults, and what a doctor is told about it. */
export class DoctorRig {
  readonly arguments: string[] = [];
  readonly environment: NodeJS.ProcessEnv = {};
  url = '';
  private readonly ends: (() => unknown)[] = [];

  private constructor(
    readonly redis: TestRedis,
    readonly replica: TestReplica,
    private readonly faultsFile: string,
  ) {
    this.url = replica.url;
  }

  /** Starts Redis and a replica, then brings about the faults, one after the other. */
  static async start(faults: readonly DoctorFault[]): Promise<DoctorRig> {
    const redis = await TestRedis.start('aof');
    const file = join(mkdtempSync(join(scratch, 'rig-')), 'faults');
    const environment = Object.assign(
      { REDIS_URL: redis.url, FAULTS: file, RTC_ACTOR_SYSTEM_RESTART_BACKOFF_MS: '10' },
      ...faults.map((fault) => fault.environment ?? {}),
    );
    const replica = await TestReplica.start(environment, undefined, 'hooked').catch(
      async (error: unknown) => {
        await redis.stop();
        throw error;
      },
    );
    const rig = new DoctorRig(redis, replica, file);
    try {
      for (const { begin } of [...faults].sort((a, b) => (a.order ?? 0) - (b.order ?? 0))) await begin?.(rig);
      return rig;
    } catch (error) {
      await rig.stop();
      throw error;
    }
  }

  /** What of the program fails from now on. */
  failing(...what: string[]): void {
    writeFileSync(this.faultsFile, what.join('\n'));
  }

  onStop(end: () => unknown): void {
    this.ends.unshift(end);
  }

  async stop(): Promise<void> {
    for (const end of this.ends) await end();
    await this.replica.end('SIGKILL');
    await this.redis.stop();
  }

  /** Runs `rtc doctor --json`. */
  async doctor(
    ...more: string[]
  ): Promise<{ readonly result: RtcResult; readonly codes: string[]; readonly answer: DoctorAnswer }> {
    const args = ['doctor', '--url', this.url, '--json', ...this.arguments, ...more];
    // A service that is blocked answers each request late.
    const result = await rtc(args, this.environment, '', 60_000);
    const [answer] = validJson<DoctorAnswer>('rtc doctor', result);
    const codes = answer!.checks.flatMap(({ code }) => code ?? []);
    return { result, codes: codes.sort(), answer: answer! };
  }
}

/** One way in which a service is broken. */
export interface DoctorFault {
  readonly name: string;
  readonly code: string;
  /** Of the remedy. */
  readonly remedy: RegExp;
  readonly exit: 1 | 2;
  /** Of the replica. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Faults with a greater number begin later. */
  readonly order?: number;
  readonly begin?: (rig: DoctorRig) => unknown;
  /** Faults beside which this one cannot be seen, or cannot be. */
  readonly hides?: readonly string[];
}

/** With which nginx passes upgrades on. */
export const upgradeLines = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';

const now = () => Math.floor(Date.now() / 1000);

/** The twelve. */
export const doctorFaults: readonly DoctorFault[] = [
  {
    name: 'wrong secret',
    code: 'RTC-TOKEN-03',
    remedy: /sha256sum/,
    exit: 2,
    hides: ['expired token'],
    begin: ({ environment }) => {
      environment['TOKEN'] = jwt.sign({ sub: 'ann', roles: ['user'], exp: now() + 3600 }, 'another secret');
      environment['ADMIN_TOKEN'] = tokenOf('olga', { roles: ['user', 'viewer'] });
    },
  },
  {
    name: 'expired token',
    code: 'RTC-TOKEN-02',
    remedy: /rtc token create/,
    exit: 2,
    begin: ({ environment }) => {
      environment['TOKEN'] = tokenOf('ann', { iat: now() - 7200, exp: now() - 3600 });
      environment['ADMIN_TOKEN'] = tokenOf('olga', { roles: ['user', 'viewer'] });
    },
  },
  {
    name: 'skewed clock',
    code: 'RTC-CLOCK-01',
    remedy: /timedatectl/,
    exit: 2,
    environment: {
      NODE_OPTIONS: `--require ${join(root, 'dist', 'bench', 'chaos', 'faults', 'clock-shift.js')}`,
      CLOCK_SHIFT_MS: '300000',
    },
  },
  {
    name: 'no Redis',
    code: 'RTC-REDIS-01',
    remedy: /redis-cli/,
    exit: 2,
    order: 2,
    hides: ['Redis with eviction'],
    begin: async ({ redis, replica }) => {
      await redis.signal('SIGKILL');
      await until(
        async () => (await replica.json<{ redis: { state: string } }>('/health')).redis.state === 'down',
        'it has noticed',
      );
    },
  },
  {
    name: 'at capacity',
    code: 'RTC-CAPACITY-01',
    remedy: /scale/,
    exit: 2,
    environment: { RTC_WEBSOCKET_MAX_CONNECTIONS: '1' },
    // Without a connection that is refused it is only nearly full. The skew of the tests is not in the header `Date`, which Node writes itself: only a client that connects can see it.
    hides: ['proxy that closes idle connections', 'skewed clock', 'proxy that strips upgrades'],
    begin: async (rig) => {
      const client: Socket = await connectClient(rig.replica.url, 'bob');
      rig.onStop(() => client.disconnect());
    },
  },
  {
    name: 'read-only',
    code: 'RTC-SWITCH-01',
    remedy: /rtc emergency mode normal/,
    exit: 1,
    order: 1,
    begin: ({ replica }) => ok(replica, 'POST', '/emergency-mode', { mode: 'read_only' }),
  },
  {
    name: 'proxy that strips upgrades',
    code: 'RTC-PROXY-01',
    remedy: /Upgrade/,
    exit: 2,
    hides: ['proxy that closes idle connections', 'skewed clock'],
    begin: (rig) => startNginx(rig, ''),
  },
  {
    name: 'proxy that closes idle connections',
    code: 'RTC-PROXY-02',
    remedy: /proxy_read_timeout/,
    exit: 2,
    begin: async (rig) => {
      await startNginx(rig, `${upgradeLines} proxy_read_timeout 2s;`);
      rig.arguments.push('--idle', '6s');
    },
    // Answers that take longer than its time-out are those of the proxy.
    hides: ['blocked event loop'],
  },
  {
    name: 'tiny message limit',
    code: 'RTC-LIMIT-01',
    remedy: /MAX_MESSAGE_BYTES/,
    exit: 2,
    environment: { RTC_WEBSOCKET_MAX_MESSAGE_BYTES: '16' },
  },
  {
    name: 'blocked event loop',
    code: 'RTC-CAPACITY-03',
    remedy: /cpu-prof/,
    exit: 1,
    order: 3,
    begin: async (rig) => {
      rig.failing('block');
      const lag = () => rig.replica.json<{ event_loop_lag_ms: { recent_p99: number } }>('/metrics');
      await until(async () => (await lag()).event_loop_lag_ms.recent_p99 > 550, 'it is blocked', 20_000);
    },
  },
  {
    name: 'stopped actor',
    code: 'RTC-ACTOR-01',
    remedy: /restart/,
    exit: 2,
    begin: async (rig) => {
      const { replica } = rig;
      rig.failing('broken');
      const headers = { authorization: `Bearer ${tokenOf('carl')}` };
      const body = JSON.stringify({ topic: 'broken', payload: 1 });
      await until(
        async () => {
          await replica.json('/api/publish', { method: 'POST', headers, body });
          return (await replica.json<{ actors: { stopped: number } }>('/metrics')).actors.stopped > 0;
        },
        'the actor is stopped',
        20_000,
      );
    },
  },
  {
    name: 'Redis with eviction',
    code: 'RTC-REDIS-04',
    remedy: /noeviction/,
    exit: 2,
    begin: async ({ redis, replica }) => {
      await redis.command('CONFIG SET maxmemory-policy allkeys-lru');
      await redis.command('CONFIG SET maxmemory 100mb');
      type Metrics = { redis: { memory: { policy: string } | null } };
      await until(
        async () => (await replica.json<Metrics>('/metrics')).redis.memory?.policy === 'allkeys-lru',
        'it has noticed',
        20_000,
      );
    },
  },
];

/** A proxy before the replica. `lines` go into its location; `others` are locations beside it. */
export async function startNginx(rig: DoctorRig, lines: string, others = ''): Promise<void> {
  const directory = mkdtempSync(join(scratch, 'nginx-'));
  const port = await freePort();
  const file = join(directory, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory};`,
  );
  const location = `location / { proxy_pass ${rig.replica.url}; proxy_http_version 1.1; proxy_set_header Host $host; ${lines} }`;
  writeFileSync(
    file,
    `pid ${directory}/pid; error_log stderr; events {}
     http { access_log off; ${temporary.join(' ')} server { listen 127.0.0.1:${port}; ${location} ${others} } }`,
  );
  const child = spawn('nginx', ['-p', directory, '-c', file, '-g', 'daemon off;'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  endsWithTests(child);
  let output = '';
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  rig.onStop(async () => {
    child.kill('SIGTERM');
    await until(() => child.exitCode !== null || child.signalCode !== null, 'nginx has ended');
  });
  rig.url = `http://127.0.0.1:${port}`;
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`nginx has ended: ${output}`);
    return (await fetch(`${rig.url}/health`).catch(() => undefined))?.ok === true;
  }, 'nginx answers');
}
