import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import type { Socket } from 'socket.io-client';
import { ok, request as call, type Json } from '../support/admin.js';
import { connectClient, type TestAnswer } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { secret, TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';
import { root } from '../support/root.js';

const cli = join(root, 'dist', 'server', 'cli', 'rtc.js');
const count = 100_000;
/** Limit of the memory that a backup or restore may use. */
const memoryLimitBytes = 96 * 1024 * 1024;

/** Replicas end if they hold more than this, so that garbage that V8 has not collected yet counts for little. */
const smallHeap = '--max-old-space-size=64';

/** Runs `rtc` to its end, or to a signal after its first output. */
function rtc(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  interrupt?: { when: RegExp },
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const { PATH, HOME } = process.env;
    const child = spawn(process.execPath, [cli, ...args], { env: { PATH, HOME, ...environment } });
    let output = '';
    let interrupted = false;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => {
        output += data.toString();
        if (interrupted || interrupt?.when.test(output) !== true) return;
        interrupted = true;
        child.kill('SIGINT');
      });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

describe('[BACKUP] 100,000 sessions, on two replicas', function () {
  this.timeout(120_000);
  const directory = mkdtempSync(join(tmpdir(), 'rtc-sessions-'));
  const file = (name: string) => join(directory, name);
  let redis: TestRedis;
  let a: TestReplica;
  let b: TestReplica;
  /** Sessions of clients that were connected, with their subscriptions. */
  const clients: { user: string; session: string; topics: string[] }[] = [];
  const sockets: Socket[] = [];

  const clientOf = (url: string) => createClient({ url });
  const withRedis = async <Result>(use: (client: ReturnType<typeof clientOf>) => Promise<Result>) => {
    const client = clientOf(redis.url);
    await client.connect();
    try {
      return await use(client);
    } finally {
      client.destroy();
    }
  };
  const stored = () => withRedis((client) => client.dbSize());
  const fill = () =>
    withRedis(async (client) => {
      for (let from = 0; from < count; from += 10_000) {
        const batch = client.multi();
        for (let i = from; i < from + 10_000; i++) {
          const session = {
            id: `made-${i}`,
            user_id: `user-${i}`,
            topics: { [`topic-${i % 100}`]: { epoch: 'e', sequence: i } },
            created_at: 1000 + i,
            updated_at: 2000 + i,
          };
          batch.set(`rtc:session:made-${i}`, JSON.stringify(session), {
            expiration: { type: 'EX', value: 3600 },
          });
        }
        await batch.execAsPipeline();
      }
    });
  const emptied = async () => {
    assert.equal(await redis.command('FLUSHALL'), '+OK');
    assert.equal((await call(a, 'GET', '/sessions/made-7')).status, 404);
  };
  const rss = async (replica: TestReplica) =>
    (await replica.json<Json>('/metrics'))['memory']['rss_bytes'] as number;
  /** The maximum growth of a replica's memory during some work. */
  const growthDuring = async (replica: TestReplica, work: Promise<unknown>): Promise<number> => {
    const before = await rss(replica);
    let peak = before;
    let done = false;
    const end = work.finally(() => (done = true));
    // With a pause: each answer of `/metrics` costs memory too.
    while (!done) {
      peak = Math.max(peak, await rss(replica));
      await sleep(20);
    }
    await end;
    return peak - before;
  };

  const resumed = async () => {
    for (const { user, session, topics } of clients) {
      const socket = await connectClient(b.url, user, { auth: { session_id: session } });
      sockets.push(socket);
      const { session_id: id, topics: positions } = socket.status as { session_id: string; topics: Json[] };
      assert.equal(id, session);
      assert.deepEqual(positions.map(({ topic }) => topic as string).sort(), topics);
      const [topic] = topics;
      const received = new Promise<Json>((resolve) => socket.once('message', resolve));
      const answer = (await socket.emitWithAck('publish', { topic, payload: session })) as TestAnswer;
      assert.equal(answer.ok, true);
      assert.equal((await received)['payload'], session, 'it is subscribed');
      socket.disconnect();
    }
  };

  before(async () => {
    redis = await TestRedis.start();
    const environment = { REDIS_URL: redis.url, NODE_OPTIONS: smallHeap };
    a = await TestReplica.start({ ...environment, REPLICA_ID: 'a' });
    b = await TestReplica.start({ ...environment, REPLICA_ID: 'b' });
    for (let i = 0; i < 5; i++) {
      const topics = [`home/${i}`, `work/${i}`];
      const socket = await connectClient(a.url, `client-${i}`);
      await socket.emitWithAck('subscribe', { topics });
      clients.push({ user: `client-${i}`, session: socket.status['session_id'] as string, topics });
      socket.disconnect();
    }
    await until(async () => {
      const all = await Promise.all(clients.map(({ session }) => call(a, 'GET', `/sessions/${session}`)));
      return all.every(({ body }) => Object.keys((body['topics'] ?? {}) as object).length === 2);
    }, 'the sessions are stored');
    await fill();
  });
  after(async () => {
    for (const socket of sockets) socket.disconnect();
    await a.end('SIGKILL');
    await b.end('SIGKILL');
    await redis.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('are backed up by REST, lost with all of Redis, restored by REST, and clients resume', async () => {
    const authorization = { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` };
    const backup = async () => {
      const response = await fetch(`${a.url}/admin/sessions/backup`, { headers: authorization });
      assert.equal(response.status, 200);
      await writeFile(file('rest.json'), response.body!);
    };
    const backupGrowth = await growthDuring(a, backup());
    const document = JSON.parse(readFileSync(file('rest.json'), 'utf8')) as Json;
    assert.deepEqual([document['count'], document['sessions'].length], [count + 5, count + 5]);

    await emptied();
    let report: Json = {};
    const restore = async () => {
      const response = await fetch(`${b.url}/admin/sessions/restore`, {
        method: 'POST',
        headers: authorization,
        body: readFileSync(file('rest.json')),
      });
      report = (await response.json()) as Json;
    };
    const restoreGrowth = await growthDuring(b, restore());
    assert.deepEqual(report, { restored: count + 5, kept: 0, invalid: 0, errors: [] });
    for (const growth of [backupGrowth, restoreGrowth])
      assert.ok(growth < memoryLimitBytes, `${Math.round(growth / 2 ** 20)} MiB`);

    const one = await ok(a, 'GET', '/sessions/made-77777');
    assert.deepEqual(
      [one['user_id'], one['topics'], one['created_at']],
      ['user-77777', { 'topic-77': { epoch: 'e', sequence: 77777 } }, 78777],
    );
    assert.ok(one['expires_in_secs'] > 3500 && one['expires_in_secs'] <= 3600);
    await resumed();
    const { records } = await ok(a, 'GET', '/audit');
    assert.ok((records as Json[]).some(({ action }) => String(action).includes('/admin/sessions/restore')));
  });

  it('are backed up and restored by rtc, also while the service is down', async () => {
    const environment = { REDIS_URL: redis.url };
    const backup = await rtc(['sessions', 'backup', file('cli.json')], environment);
    assert.equal(backup.code, 0, backup.output);
    assert.match(backup.output, /25\d{3} sessions[\s\S]*100005 sessions backed up/);
    await a.end('SIGTERM');
    await b.end('SIGTERM');
    await redis.command('FLUSHALL');
    const restore = await rtc(['sessions', 'restore', file('cli.json')], environment);
    assert.equal(restore.code, 0, restore.output);
    assert.match(restore.output, /25\d{3} sessions, 2\d%[\s\S]*100005 sessions restored, 0 kept/);
    await a.run();
    await b.run();
    await resumed();
  });

  it('continue a restore at the point of its interruption', async () => {
    await emptied();
    const environment = { REDIS_URL: redis.url };
    const interrupted = await rtc(['sessions', 'restore', file('cli.json')], environment, {
      when: /25\d{3} sessions/,
    });
    assert.equal(interrupted.code, 130, interrupted.output);
    assert.ok(existsSync(file('cli.json.progress')));
    const there = await stored();
    assert.ok(there >= 25_000 && there < count, String(there));
    const rest = await rtc(['sessions', 'restore', file('cli.json'), '--resume'], environment);
    assert.equal(rest.code, 0, rest.output);
    // A client that has just left may have stored its session since.
    const [, restored, kept] = /(\d+) sessions restored, (\d+) kept/.exec(rest.output) ?? [];
    assert.equal(Number(restored) + Number(kept), count + 5, rest.output);
    assert.ok(Number(kept) <= clients.length, rest.output);
    assert.ok(!existsSync(file('cli.json.progress')));
    assert.ok((await stored()) >= count + 5);
  });

  it('leave no incomplete file, and report what is wrong with one', async () => {
    const environment = { REDIS_URL: redis.url };
    const interrupted = await rtc(['sessions', 'backup', file('half.json')], environment, {
      when: /25\d{3} sessions/,
    });
    assert.equal(interrupted.code, 130, interrupted.output);
    assert.ok(!existsSync(file('half.json')));
    writeFileSync(file('cut.json'), readFileSync(file('cli.json')).subarray(0, 1_000_000));
    const cut = await rtc(['sessions', 'restore', file('cut.json'), '--overwrite'], environment);
    assert.equal(cut.code, 1);
    assert.match(cut.output, /cut off|before that \d+ sessions restored/);
    const url = ['--url', a.url, '--token', tokenOf('vera', { roles: ['viewer'] })];
    const refused = await rtc(['sessions', 'backup', file('never.json'), ...url], {});
    assert.deepEqual([refused.code, /forbidden/.test(refused.output)], [1, true], refused.output);
    assert.ok(!existsSync(file('never.json')));
  });

  it('are saved and restored through the admin API of a replica, with the same secret', async () => {
    const token = { TOKEN: tokenOf('olga', { roles: ['admin'] }), JWT_SECRET: secret };
    const backup = await rtc(['sessions', 'backup', file('url.json'), '--url', b.url], token);
    assert.equal(backup.code, 0, backup.output);
    await emptied();
    const restore = await rtc(['sessions', 'restore', file('url.json'), '--url', a.url, '-q'], token);
    assert.deepEqual([restore.code, restore.output], [0, '']);
    await resumed();
  });
});
