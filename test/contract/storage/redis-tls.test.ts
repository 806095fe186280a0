import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings, SettingsError } from '../../../server/config/load.js';
import { redisAddressOf } from '../../../server/config/redis-address.js';
import { silentLog } from '../../../server/logging/log.js';
import { redisConnector } from '../../../server/storage/redis/redis-connector.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import { readRedisTls } from '../../../server/storage/redis/redis-tls.js';
import { certificate } from '../../support/certificate.js';
import { startEmbedded } from '../../support/embedded-service.js';
import { TestRedis } from '../../support/redis.js';
import { masterName, TestSentinel } from '../../support/sentinels.js';
import { freePort, until } from '../../support/wait.js';

describe('Redis with TLS', function () {
  this.timeout(60_000);
  const closing: { close(): Promise<void> }[] = [];
  let directory: string;
  let cert: string;
  let key: string;
  let tlsPort: number;
  let redis: TestRedis;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rtc-tls-'));
    cert = join(directory, 'cert.pem');
    key = join(directory, 'key.pem');
    writeFileSync(cert, certificate.cert);
    writeFileSync(key, certificate.key);
    tlsPort = await freePort();
    // As usual, Redis asks its clients for a certificate, too.
    redis = await TestRedis.start('none', ['--tls-port', String(tlsPort), ...tlsOptions('--')]);
  });
  after(async () => {
    await redis?.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((one) => one.close()));
  });

  const tlsOptions = (prefix: string) =>
    Object.entries({ 'tls-cert-file': cert, 'tls-key-file': key, 'tls-ca-cert-file': cert }).flatMap(
      ([name, value]) => [`${prefix}${name}`, value],
    );
  const withCertificate = () => ({
    RTC_REDIS_TLS_CA_FILE: cert,
    RTC_REDIS_TLS_CERT_FILE: cert,
    RTC_REDIS_TLS_KEY_FILE: key,
  });
  const openLink = (environment: NodeJS.ProcessEnv) => {
    const settings = loadSettings({ REDIS_URL: `rediss://127.0.0.1:${tlsPort}`, ...environment });
    const address = redisAddressOf(settings.redis)!;
    const connector = redisConnector({ log: silentLog }, { address, tls: readRedisTls(settings.redis) });
    const link = new RedisLink(
      { log: silentLog, connector },
      { url: '', commandTimeoutMs: 1000, stallLimitMs: 3000 },
    );
    closing.push(link);
    link.start();
    return link;
  };
  const outageOf = async (environment: NodeJS.ProcessEnv) => {
    const link = openLink(environment);
    // A connection that Redis has closed at once may not say why.
    await until(() => link.outage.current?.kind === 'tls', 'the outage is known');
    return link.outage.current!;
  };

  it('is used with the authority and the certificate of the settings', async () => {
    const link = openLink(withCertificate());
    assert.equal(await link.whenUp(30_000), true);
    assert.equal(await link.call(['PING']), 'PONG');
  });

  it('serves the whole service', async () => {
    const { service, url } = await startEmbedded({
      REDIS_URL: `rediss://127.0.0.1:${tlsPort}`,
      ...withCertificate(),
    });
    closing.push(service);
    const health = (await (await fetch(`${url}/health`)).json()) as {
      redis: { state: string; adapter_failures: number };
    };
    assert.deepEqual([health.redis.state, health.redis.adapter_failures], ['up', 0]);
  });

  it('is an outage with a name of its own if a certificate is missing or wrong', async () => {
    const unknown = await outageOf({});
    assert.equal(unknown.kind, 'tls');
    assert.match(unknown.remedy, /redis\.tls_ca_file/);
    assert.equal((await outageOf({ RTC_REDIS_TLS_CA_FILE: cert })).kind, 'tls');
    const otherName = await outageOf({ ...withCertificate(), RTC_REDIS_TLS_SERVER_NAME: 'redis.example' });
    assert.equal(otherName.kind, 'tls');
    assert.match(otherName.reason, /redis\.example/);
  });

  it('may have another name than the host that is connected', async () => {
    const link = openLink({ ...withCertificate(), RTC_REDIS_TLS_SERVER_NAME: 'localhost' });
    assert.equal(await link.whenUp(30_000), true);
  });

  it('is found through Sentinels with TLS', async () => {
    const sentinelPort = await freePort();
    const lines = tlsOptions('').reduce<string[]>(
      (all, word, i) => (i % 2 === 0 ? [...all, word] : [...all.slice(0, -1), `${all.at(-1)} ${word}`]),
      [],
    );
    const sentinel = await TestSentinel.start(tlsPort, [
      `tls-port ${sentinelPort}`,
      'tls-replication yes',
      ...lines,
    ]);
    try {
      const link = openLink({
        ...withCertificate(),
        REDIS_URL: `rediss+sentinel://127.0.0.1:${sentinelPort}/${masterName}`,
      });
      assert.equal(await link.whenUp(30_000), true);
    } finally {
      await sentinel.stop();
    }
  });

  it('is refused at the start if a file cannot be read', () => {
    const { redis: settings } = loadSettings({ RTC_REDIS_TLS_CA_FILE: '/nowhere/ca.pem' });
    assert.throws(
      () => readRedisTls(settings),
      (error: Error) => {
        assert.ok(error instanceof SettingsError);
        assert.match(error.message, /^redis\.tls_ca_file: \/nowhere\/ca\.pem cannot be read: ENOENT/);
        return true;
      },
    );
  });
});
