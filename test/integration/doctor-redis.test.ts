import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { DoctorAnswer } from '../support/doctor-rig.js';
import { certificate } from '../support/certificate.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';
import { RoundRobin } from '../support/round-robin.js';
import { rtc, scratch, validJson } from '../support/rtc.js';
import { freePort } from '../support/wait.js';

const portOf = (server: Server) => (server.address() as AddressInfo).port;

/** A path on which everything takes its time. */
async function slowPath(port: number, delayMs: number): Promise<Server> {
  const server = createServer((client) => {
    const target = connect(port, '127.0.0.1');
    const pass = (from: Socket, to: Socket) => {
      from.on('data', (data) => setTimeout(() => to.writable && to.write(data), delayMs));
      from.once('close', () => to.destroy());
      from.on('error', () => {});
    };
    pass(client, target);
    pass(target, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

describe('[CLI] rtc doctor --redis', function () {
  this.timeout(60_000);
  let redis: TestRedis;
  let replica: TestReplica;

  before(async () => {
    redis = await TestRedis.start('aof');
    replica = await TestReplica.start({ REDIS_URL: redis.url });
  });
  after(async () => {
    await replica?.end('SIGKILL');
    await redis?.stop();
  });

  const look = async (url: string, ...more: string[]) => {
    const result = await rtc(['doctor', '--url', replica.url, '--redis', url, '--json', ...more]);
    const [answer] = validJson<DoctorAnswer>('rtc doctor', result);
    return { ...answer!, codes: answer!.checks.flatMap(({ code }) => code ?? []), result };
  };

  it('says that all is well, and leaves no password in the file of --save', async () => {
    await redis.command('ACL SETUSER somebody on >a-secret-password ~* &* +@all');
    const file = join(scratch, 'redis.json');
    const url = (password: string) => `redis://somebody:${password}@127.0.0.1:${redis.port}`;
    const { verdict, checks } = await look(url('a-secret-password'), '--save', file, '--only', 'redis');
    assert.equal(verdict, 'well', JSON.stringify(checks));
    assert.match(checks[0]!.text, /^Redis [\d.]+ at 127\.0\.0\.1:\d+ answers in [\d.]+ ms/);
    assert.ok(!readFileSync(file, 'utf8').includes('a-secret-password'));
    const wrong = await look(url('wrong'), '--only', 'redis');
    assert.deepEqual(wrong.codes, ['RTC-REDIS-01']);
    assert.match(wrong.checks[0]!.text, /WRONGPASS/);
  });

  it('finds each of these, and nothing else', async () => {
    const other = await TestRedis.start('none');
    try {
      const codes = async () => (await look(other.url, '--only', 'redis')).codes;
      assert.deepEqual(await codes(), ['RTC-REDIS-06'], 'it keeps nothing on disk');
      await other.command('CONFIG SET appendonly yes');
      assert.deepEqual(await codes(), []);
      await other.command('CONFIG SET maxmemory-policy allkeys-lru');
      assert.deepEqual(await codes(), ['RTC-REDIS-04']);
      await other.command('CONFIG SET maxmemory-policy noeviction');
      await other.command('CONFIG SET maxmemory 1mb');
      assert.deepEqual(await codes(), ['RTC-REDIS-03']);
      await other.command('CONFIG SET maxmemory 0');
      await other.command('CONFIG SET client-output-buffer-limit "pubsub 1mb 1mb 5"');
      assert.deepEqual(await codes(), ['RTC-REDIS-09']);
      await other.command('CONFIG SET client-output-buffer-limit "pubsub 32mb 8mb 60"');
      await other.command(`REPLICAOF 127.0.0.1 ${redis.port}`);
      assert.deepEqual(await codes(), ['RTC-REDIS-07']);
      await other.command('REPLICAOF NO ONE');
    } finally {
      await other.stop();
    }
  });

  it('finds a user without the rights, and names the commands', async () => {
    await redis.command('ACL SETUSER poor on >pw ~rtc:* &rtc:* +@all -xadd -publish -hset');
    const { codes, checks } = await look(`redis://poor:pw@127.0.0.1:${redis.port}`, '--only', 'redis');
    assert.deepEqual(codes, ['RTC-REDIS-08']);
    assert.match(checks[0]!.text, /hset, xadd, publish/);
    await redis.command('ACL SETUSER elsewhere on >pw ~other:* &other:* +@all');
    const other = await look(`redis://elsewhere:pw@127.0.0.1:${redis.port}`, '--only', 'redis');
    assert.deepEqual(other.codes, ['RTC-REDIS-08']);
  });

  it('finds a user that may not subscribe to the patterns of Socket.IO, with and without --redis', async () => {
    const { stdout } = await rtc(['redis', 'acl', '--user', 'patternless'], {
      REDIS_URL: `redis://patternless:pw@127.0.0.1:${redis.port}/3`,
    });
    const line = stdout.trim().replace(/ &\S*#\S*/g, '');
    assert.notEqual(line, stdout.trim());
    assert.equal(await redis.command(line), '+OK');
    const url = `redis://patternless:pw@127.0.0.1:${redis.port}/3`;
    const denied = await TestReplica.start({ REDIS_URL: url });
    try {
      for (const more of [[], ['--redis', url]]) {
        const result = await rtc(['doctor', '--url', denied.url, '--json', ...more]);
        const [answer] = validJson<DoctorAnswer>('rtc doctor', result);
        const found = answer!.checks.filter(({ code }) => code !== null);
        assert.deepEqual(
          [found.map(({ code }) => code), result.code],
          [['RTC-REDIS-08'], 2],
          JSON.stringify(found),
        );
        assert.match(found[0]!.remedy!, /rtc redis acl/);
      }
      assert.equal(await redis.command(stdout.trim()), '+OK');
      const { codes } = await look(url, '--only', 'redis');
      assert.deepEqual(codes, [], 'with the rights that rtc redis acl prints');
    } finally {
      await denied.end('SIGKILL');
    }
  });

  it('looks at a Redis with TLS by the certificates of the settings, and ends where TLS is missing', async () => {
    const front = createTlsServer(certificate, (client) => {
      const target = connect(redis.port, '127.0.0.1');
      client.on('error', () => {}).pipe(target);
      target.on('error', () => {}).pipe(client);
    });
    // A client without TLS.
    front.on('tlsClientError', (_error, socket) => socket.destroy());
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    try {
      const file = join(scratch, 'redis-authority.pem');
      writeFileSync(file, certificate.cert);
      const codesBy = async (scheme: string, environment: NodeJS.ProcessEnv) => {
        const url = `${scheme}://localhost:${portOf(front)}`;
        const args = [
          'doctor',
          '--url',
          replica.url,
          '--redis',
          url,
          '--json',
          '--only',
          'redis',
          '--timeout',
          '3s',
        ];
        const [answer] = validJson<DoctorAnswer>('rtc doctor', await rtc(args, environment));
        return answer!.checks.flatMap(({ code }) => code ?? []);
      };
      assert.deepEqual(await codesBy('rediss', { RTC_REDIS_TLS_CA_FILE: file }), []);
      assert.deepEqual(await codesBy('rediss', {}), ['RTC-REDIS-01']);
      assert.deepEqual(await codesBy('redis', {}), ['RTC-REDIS-01']);
    } finally {
      front.close();
    }
  });

  it('says of an address that it cannot look at what to give instead', async () => {
    for (const [url, words] of [
      ['not-an-address', /no address of Redis/],
      ['redis+sentinel://:a-secret@127.0.0.1:26379/orders', /primary\n.*get-master-addr-by-name orders/],
    ] as const) {
      const result = await rtc(['doctor', '--url', replica.url, '--redis', url, '--json']);
      assert.equal(result.code, 3, result.stdout);
      assert.match(result.stderr, words);
      assert.doesNotMatch(result.stderr, /a-secret/);
    }
  });

  it('finds a slow Redis, and one that does not answer', async () => {
    const path = await slowPath(redis.port, 20);
    try {
      const slow = await look(`redis://127.0.0.1:${portOf(path)}`, '--only', 'redis');
      assert.deepEqual(slow.codes, ['RTC-REDIS-05'], JSON.stringify(slow.checks));
      const nobody = await look(
        `redis://127.0.0.1:${await freePort()}`,
        '--only',
        'redis',
        '--timeout',
        '2s',
      );
      assert.deepEqual([nobody.codes, nobody.result.code], [['RTC-REDIS-01'], 1], 'the service has it');
    } finally {
      path.close();
    }
  });
});

describe('[CLI] rtc doctor, before what stands before the service', function () {
  this.timeout(60_000);

  it('finds a certificate that nobody knows, and one that expires soon', async () => {
    const replica = await TestReplica.start();
    const front = createTlsServer(certificate, (client) => {
      const target = connect(Number(new URL(replica.url).port), '127.0.0.1');
      client.on('error', () => {}).pipe(target);
      target.on('error', () => {}).pipe(client);
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    try {
      const url = `https://localhost:${portOf(front)}`;
      const authority = join(scratch, 'authority.pem');
      const file = join(scratch, 'tls.json');
      writeFileSync(authority, certificate.cert);
      const look = async (args: readonly string[], environment: NodeJS.ProcessEnv = {}) => {
        const [answer] = validJson<DoctorAnswer>(
          'rtc doctor',
          await rtc(['doctor', '--json', ...args], environment),
        );
        return answer!.checks.flatMap(({ code }) => code ?? []);
      };
      assert.deepEqual(await look(['--url', url]), ['RTC-ADDRESS-04']);
      const known = { NODE_EXTRA_CA_CERTS: authority };
      assert.deepEqual(await look(['--url', url, '--save', file], known), []);
      // The same, seen ten days before it ends.
      const seen = JSON.parse(readFileSync(file, 'utf8')) as {
        at: number;
        reach: { tls: { expires_at: number } };
      };
      const day = 86_400_000;
      for (const [days, codes] of [
        [10, ['RTC-ADDRESS-05']],
        [15, []],
      ] as const) {
        writeFileSync(file, JSON.stringify({ ...seen, at: seen.reach.tls.expires_at - days * day }));
        assert.deepEqual(await look(['--from', file, '--only', 'address']), codes, `${days} days`);
      }
    } finally {
      front.close();
      await replica.end('SIGKILL');
    }
  });

  it('finds a balancer that spreads the requests of one client over services that do not know each other', async () => {
    const replicas = await Promise.all([TestReplica.start(), TestReplica.start()]);
    const balancer = await RoundRobin.start(replicas.map(({ url }) => Number(new URL(url).port)));
    try {
      const result = await rtc(['doctor', '--json', '--url', balancer.url, '--only', 'proxy']);
      const [answer] = validJson<DoctorAnswer>('rtc doctor', result);
      const found = answer!.checks.find(({ code }) => code !== null);
      assert.deepEqual([found?.code, result.code], ['RTC-PROXY-03', 1], result.stdout);
      assert.match(found!.remedy!, /sticky/);
    } finally {
      await balancer.stop();
      await Promise.all(replicas.map((one) => one.end('SIGKILL')));
    }
  });
});
