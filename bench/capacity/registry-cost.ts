import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../../server/logging/log.js';
import { RedisLink } from '../../server/storage/redis/redis-link.js';
import { RedisReplicaRegistry } from '../../server/storage/redis/redis-replica-registry.js';
import { freePort } from '../free-port.js';

const replicas = 300;
const measuredMs = 15_000;

/**
 * The processor time of Redis, in microseconds, for what a replica's heartbeat does for each other replica: measured with
 * the registries of 300 replicas, each of which beats once a second.
 */
export async function measureHeartbeats(): Promise<number> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'rtc-heartbeats-'));
  const redis = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''],
    { stdio: 'ignore' },
  );
  const link = new RedisLink(
    { log: silentLog },
    { url: `redis://127.0.0.1:${port}`, commandTimeoutMs: 5000, stallLimitMs: 10_000 },
  );
  const registries: RedisReplicaRegistry[] = [];
  try {
    link.start();
    if (!(await link.whenUp(10_000))) throw new Error('Redis has not started');
    for (let number = 0; number < replicas; number++) {
      const identity = { id: `replica-${number}`, name: `replica-${number}`, version: '0', settings: {} };
      registries.push(new RedisReplicaRegistry({ link, log: silentLog }, { keyPrefix: 'rtc', identity }));
    }
    // All have joined.
    await sleep(3000);
    const before = cpuSecs(redis.pid!);
    await sleep(measuredMs);
    const usPerSec = ((cpuSecs(redis.pid!) - before) / measuredMs) * 1e9;
    return usPerSec / replicas ** 2;
  } finally {
    await Promise.all(registries.map((registry) => registry.close()));
    await link.close();
    const gone = once(redis, 'exit');
    redis.kill('SIGKILL');
    await gone;
    rmSync(directory, { recursive: true, force: true });
  }
}

function cpuSecs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
