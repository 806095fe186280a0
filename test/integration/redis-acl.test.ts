import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { printAcl } from '../../server/cli/redis.js';
import { loadSettings } from '../../server/config/load.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';
import { root } from '../support/root.js';
import { until } from '../support/wait.js';

const run = promisify(execFile);

/** What the service needs of Redis: the contracts, the wires and the admin API. */
const files = [
  ...['log/broker', 'cluster/audit-log', 'cluster/replica-registry', 'cluster/shared-store'],
  ...['limits/connection-count', 'limits/user-rate', 'presence/presence-pages', 'presence/presence-store'],
  ...['sessions/session-schedules', 'storage/durability', 'storage/inbox-shares', 'storage/unused-topics'],
  'storage/storage-format',
]
  .map((name) => `test/contract/${name}.test.ts`)
  .concat(['admin', 'sessions', 'quotas', 'redis-cluster'].map((name) => `test/integration/${name}.test.ts`));
/** These look into Redis themselves, by commands that the service does not send. */
const lookers = ['written without timestamps', 'same old hash', 'ends without a word'];
/** The slowest: what they send, the others send too. The last one starts what it needs by itself. */
const slow = [
  ...['comes back empty', 'stalls during it', 'never grants more than the rate', 'killed replica'],
  ...[
    'bytes per second of a connection',
    'shares keys among',
    'keeps the key of one',
    'limits the bytes that',
  ],
  ...['limits the topics that', 'failover in a Redis Cluster'],
];

describe('the user of Redis that rtc redis acl prints', function () {
  this.timeout(600_000);

  it('has all rights that the service needs, with Redis as the tests have it', async () => {
    const grep = `^(?!.*(${[...lookers, ...slow].join('|')})).*[Rr]edis`;
    const mocha = join(root, 'node_modules', 'mocha', 'bin', 'mocha.js');
    try {
      for (const file of files) assert.ok(existsSync(join(root, file)), file);
      const { stdout } = await run(process.execPath, [mocha, '--exit', ...files, '--grep', grep], {
        cwd: root,
        env: { ...process.env, RTC_TEST_REDIS_ACL: '1' },
        maxBuffer: 10_000_000,
      });
      assert.match(stdout, /\d\d passing/);
    } catch (error) {
      const { stdout = '', message } = error as { stdout?: string; message: string };
      assert.fail(`${message}\n${stdout.slice(stdout.indexOf('passing'))}`);
    }
  });

  it('cannot do anything else', async () => {
    const redis = await TestRedis.start();
    try {
      const lines: string[] = [];
      const write = console.log;
      console.log = (line: string) => void lines.push(line);
      try {
        const settings = loadSettings({ REDIS_URL: `redis://app:secret@127.0.0.1:${redis.port}` });
        printAcl(settings, { namespace: ['/'], redisVersion: '7.0' });
      } finally {
        console.log = write;
      }
      assert.equal(await redis.command(lines[0]!), '+OK');
      const dryRun = async (command: string) => (await redis.command(`ACL DRYRUN app ${command}`)) ?? '';
      assert.equal(await dryRun('GET rtc:x'), '+OK');
      assert.equal(await dryRun('PUBLISH rtc:{t} x'), '+OK');
      assert.equal(await dryRun('PSUBSCRIBE rtc:io#/#*'), '+OK');
      assert.equal(await dryRun('PSUBSCRIBE rtc:io#/admin#*'), '+OK', 'of the Socket.IO Admin UI');
      for (const command of [
        'GET other',
        'PUBLISH other x',
        'PSUBSCRIBE rtc:*x',
        'KEYS *',
        'FLUSHALL',
        'CONFIG SET a b',
        'ACL LIST',
        'SCRIPT FLUSH',
        'REPLICAOF no one',
      ])
        assert.notEqual(await dryRun(command), '+OK', command);
    } finally {
      await redis.stop();
    }
  });

  it('is named to an operator whose user may not subscribe to patterns: topics work, and broadcasts of the program would end here unseen', async () => {
    const redis = await TestRedis.start();
    let replica: TestReplica | undefined;
    try {
      await redis.command('ACL SETUSER narrow on >pw ~rtc:* &rtc:* +@all');
      replica = await TestReplica.start({ REDIS_URL: `redis://narrow:pw@127.0.0.1:${redis.port}` });
      const told = () =>
        replica!.output.match(/may not subscribe to the patterns of Socket\.IO/g)?.length ?? 0;
      await until(() => told() > 0, 'the warning');
      assert.match(replica.output, /rtc redis acl/);
      const { status } = (await (await fetch(`${replica.url}/health`)).json()) as { status: string };
      assert.equal(status, 'ok');
      assert.equal(told(), 1);
    } finally {
      await replica?.end('SIGKILL');
      await redis.stop();
    }
  });

  it('is named at the start where the user may not read the settings of Redis, which refuses no write', async () => {
    const redis = await TestRedis.start();
    let replica: TestReplica | undefined;
    try {
      await redis.command('ACL SETUSER blind on >pw ~* &* +@all -config');
      replica = await TestReplica.start({ REDIS_URL: `redis://blind:pw@127.0.0.1:${redis.port}` });
      await until(() => replica!.output.includes('may not read its settings'), 'the warning');
      assert.match(replica.output, /rtc redis acl/);
      const { status } = (await (await fetch(`${replica.url}/health`)).json()) as { status: string };
      assert.equal(status, 'ok');
    } finally {
      await replica?.end('SIGKILL');
      await redis.stop();
    }
  });
});
