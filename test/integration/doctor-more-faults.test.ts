import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { finds, findsEach } from '../support/doctor-findings.js';
import { startNginx, upgradeLines, type DoctorAnswer, type DoctorFault } from '../support/doctor-rig.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';
import { rtc, scratch, validJson } from '../support/rtc.js';
import { until } from '../support/wait.js';

interface Health {
  readonly redis: { readonly refused_by: string | null };
}

/** A proxy that passes on everything but one path. */
const withoutPath = (path: string, exit: 1 | 2, remedy: RegExp): DoctorFault => ({
  name: `proxy without ${path}`,
  code: 'RTC-PROXY-05',
  remedy,
  exit,
  begin: (rig) => startNginx(rig, upgradeLines, `location ${path} { return 403; }`),
});

const faults: readonly DoctorFault[] = [
  withoutPath('/ws', 2, /location .*\(ws\).*proxy_pass/),
  withoutPath('/socket.io', 2, /location .*socket\\\.io.*proxy_pass/),
  withoutPath('/admin', 1, /from inside/),
  withoutPath('/api', 1, /from inside/),
  {
    name: 'proxy whose /ws leads nowhere',
    code: 'RTC-PROXY-05',
    remedy: /log of the proxy/,
    exit: 2,
    begin: (rig) => startNginx(rig, upgradeLines, 'location /ws { proxy_pass http://127.0.0.1:1; }'),
  },
  {
    name: 'proxy that removes the token',
    code: 'RTC-PROXY-06',
    remedy: /proxy_set_header Authorization/,
    exit: 2,
    begin: (rig) => startNginx(rig, `${upgradeLines} proxy_set_header Authorization "";`),
  },
  {
    name: 'user of Redis without rights',
    code: 'RTC-REDIS-08',
    remedy: /rtc redis acl/,
    exit: 2,
    // Nothing is published before the doctor does.
    begin: ({ redis }) => redis.command('ACL SETUSER default -xadd -publish'),
  },
];

const findingsOf = async (...args: string[]) => {
  const result = await rtc(['doctor', '--json', ...args]);
  const [answer] = validJson<DoctorAnswer>('rtc doctor', result);
  const findings = answer!.checks.filter(({ code }) => code !== null);
  return { findings, codes: findings.map(({ code }) => code), result };
};

describe('[CLI] rtc doctor, on a service that is cut off in part', function () {
  this.timeout(90_000);
  findsEach(faults);

  it('finds two of them: a path that is closed, and a user of Redis without rights', () =>
    finds([faults[2]!, faults[6]!]));
});

describe('[CLI] rtc doctor, on a Redis that cannot save', function () {
  this.timeout(60_000);

  it('names the disk, with and without --redis', async () => {
    const directory = join(mkdtempSync(join(scratch, 'disk-')), 'data');
    mkdirSync(directory);
    const redis = await TestRedis.start('none', ['--dir', directory, '--save', '1 1']);
    const replica = await TestReplica.start({ REDIS_URL: redis.url });
    try {
      rmSync(directory, { recursive: true });
      await until(
        async () => {
          await rtc(['publish', 'news', '1', '--url', replica.url]);
          return (await replica.json<Health>('/health')).redis.refused_by === 'MISCONF';
        },
        'writes are refused by MISCONF',
        30_000,
      );
      const { findings, codes, result } = await findingsOf('--url', replica.url);
      assert.deepEqual([codes, result.code], [['RTC-REDIS-02'], 2], JSON.stringify(findings));
      assert.match(findings[0]!.text, /disk is full/);
      assert.match(findings[0]!.remedy!, /df -h/);
      const direct = await findingsOf('--url', replica.url, '--redis', redis.url);
      assert.deepEqual(direct.codes, ['RTC-REDIS-06'], JSON.stringify(direct.findings));
    } finally {
      await replica.end('SIGKILL');
      await redis.stop();
    }
  });
});

describe('[CLI] rtc doctor, on a Redis that takes no messages', function () {
  this.timeout(90_000);
  let redis: TestRedis;
  let primary: TestRedis;
  let replica: TestReplica;

  beforeEach(async () => {
    [redis, primary] = await Promise.all([TestRedis.start('aof'), TestRedis.start('aof')]);
    replica = await TestReplica.start({ REDIS_URL: redis.url });
  });
  afterEach(async () => {
    await replica?.end('SIGKILL');
    await Promise.all([redis?.stop(), primary?.stop()]);
  });

  const isRefusedBy = (code: string) =>
    until(
      async () => {
        await rtc(['publish', 'news', '1', '--url', replica.url]);
        return (await replica.json<Health>('/health')).redis.refused_by === code;
      },
      `writes are refused by ${code}`,
      30_000,
    );

  it('names a primary that has become a replica, with and without --redis, and nothing else', async () => {
    await redis.command(`REPLICAOF 127.0.0.1 ${primary.port}`);
    await isRefusedBy('READONLY');
    const { findings, codes, result } = await findingsOf('--url', replica.url);
    assert.deepEqual([codes, result.code], [['RTC-REDIS-02'], 2], JSON.stringify(findings));
    assert.match(findings[0]!.text, /read-only replica/);
    assert.match(findings[0]!.remedy!, /info replication/);
    const direct = await findingsOf('--url', replica.url, '--redis', redis.url);
    assert.deepEqual(direct.codes, ['RTC-REDIS-07'], JSON.stringify(direct.findings));
    const messages = await findingsOf('--url', replica.url, '--only', 'messages');
    assert.deepEqual([messages.codes, messages.result.code], [['RTC-REDIS-02'], 2]);
  });

  it('names a full Redis as a failure, with and without --redis, and nothing else', async () => {
    await redis.command('CONFIG SET maxmemory 1');
    await isRefusedBy('OOM');
    for (const more of [[], ['--redis', redis.url]]) {
      const { findings, codes, result } = await findingsOf('--url', replica.url, ...more);
      assert.deepEqual([codes, result.code], [['RTC-REDIS-03'], 2], JSON.stringify(findings));
    }
  });
});

describe('[CLI] rtc doctor, on replicas that do not fit together', function () {
  this.timeout(60_000);

  it('finds that they do not share one Redis', async () => {
    const replicas = await Promise.all([TestReplica.start(), TestReplica.start()]);
    try {
      const [a, b] = replicas.map(({ url }) => url) as [string, string];
      const { findings, codes } = await findingsOf('--url', a, '--replica', a, b, '--timeout', '3s');
      assert.deepEqual(codes, ['RTC-REPLICA-02'], JSON.stringify(findings));
      assert.match(findings[0]!.remedy!, /REDIS_URL=/);
    } finally {
      await Promise.all(replicas.map((one) => one.end('SIGKILL')));
    }
  });

  it('finds that their settings differ, without --replica, and which', async () => {
    const redis = await TestRedis.start('aof');
    const start = (id: string, rps: string) =>
      TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: id, RTC_LIMITS_USER_RPS: rps });
    const replicas: TestReplica[] = [];
    try {
      for (const [id, rps] of [
        ['a', '500'],
        ['b', '600'],
      ] as const)
        replicas.push(await start(id, rps));
      const look = () => findingsOf('--url', replicas[0]!.url);
      let found = await look();
      await until(
        async () => {
          found = await look();
          return found.codes.length > 0;
        },
        'the replicas have compared themselves',
        20_000,
      );
      assert.deepEqual(
        [found.codes, found.result.code],
        [['RTC-REPLICA-02'], 1],
        JSON.stringify(found.findings),
      );
      assert.match(found.findings[0]!.text, /user_?rps/i);
    } finally {
      await Promise.all(replicas.map((one) => one.end('SIGKILL')));
      await redis.stop();
    }
  });
});
