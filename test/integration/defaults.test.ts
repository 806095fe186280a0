import assert from 'node:assert/strict';
import { keptValues } from '../../server/config/kept-values.js';
import { hardenedValues, userQuotas } from '../../server/config/hardened.js';
import { startEmbedded } from '../support/embedded-service.js';
import { TestReplica, tokenOf } from '../support/replica.js';

type Line = Record<string, unknown>;

/** The warnings of a replica that has just started. */
async function warningsOf(environment: NodeJS.ProcessEnv): Promise<Line[]> {
  const replica = await TestReplica.start(environment);
  await replica.end();
  return replica.output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
    .filter(({ level }) => level === 'WARN');
}

const production = { NODE_ENV: 'production', JWT_SECRET: 'x'.repeat(32) };

describe('[CONF] the standard settings', () => {
  it('are warned of in production, each once, with the setting and its remedy', async () => {
    const warnings = await warningsOf({ ...production, RTC_LIMITS_USER_RPS: '100000' });
    assert.ok(warnings.every(({ message }) => message === 'Dangerous setting'));
    const settings = warnings.map(({ setting }) => setting);
    assert.equal(new Set(settings).size, settings.length);
    for (const name of [
      'websocket.allowed_origins',
      'permissions',
      'auth.require_exp',
      'server.metrics_access',
      'limits.untrusted_forwarders',
    ])
      assert.ok(settings.includes(name), name);
    assert.ok(settings.includes('limits.connection_rps'));
    assert.ok(!settings.includes('limits.user_rps'), 'a limit that is set is no danger');
    for (const { setting, risk, remedy } of warnings) {
      assert.ok(
        hardenedValues.some(({ name }) => name === setting),
        String(setting),
      );
      assert.ok(risk !== undefined && String(remedy).includes(String(setting)));
    }
  });

  it('are warned of once for all quotas of users, and not if one of them is set', async () => {
    const quotasIn = async (environment: NodeJS.ProcessEnv) =>
      (await warningsOf({ ...production, ...environment }))
        .map(({ setting }) => String(setting))
        .filter((setting) => userQuotas.includes(setting));
    assert.deepEqual(await quotasIn({}), ['limits.user_stored_bytes']);
    assert.deepEqual(await quotasIn({ RTC_LIMITS_USER_NEW_TOPICS: '1000' }), []);
  });

  it('are warned of once if a value switches off a protection that is on by default', async () => {
    const environment = {
      RTC_SERVER_TRUSTED_PROXIES: '0.0.0.0/0',
      RTC_LIMITS_WASTE_PACKETS_PER_SEC: '0',
      RTC_WEBSOCKET_MAX_UNJOINED: '2000',
    };
    const warnings = (await warningsOf({ ...production, ...environment })).filter(({ setting }) =>
      keptValues.some(({ name }) => name === setting),
    );
    assert.deepEqual(
      warnings.map(({ message, setting }) => [message, setting]),
      [
        ['Dangerous setting', 'server.trusted_proxies'],
        ['Dangerous setting', 'limits.waste_packets_per_sec'],
      ],
    );
  });

  it('are warned of in one line in development if other machines can connect', async () => {
    const [warning, ...more] = await warningsOf({ HOST: '0.0.0.0', JWT_SECRET: '' });
    assert.deepEqual(more, []);
    assert.equal(warning!['message'], 'Not for the internet');
    assert.equal(warning!['generated_secret'], true);
    assert.match(String(warning!['remedy']), /HOST=127\.0\.0\.1.*--profile hardened/);
    assert.deepEqual(await warningsOf({ HOST: '127.0.0.1' }), []);
  });
});

describe('[CONF] the profile hardened', () => {
  it('starts without a warning', async () => {
    assert.deepEqual(await warningsOf({ ...production, RTC_SERVER_PROFILE: 'hardened' }), []);
  });
});

describe('[METRIC] access to /metrics', () => {
  const statusOf = async (access: string, headers: Record<string, string> = {}) => {
    const { service, url } = await startEmbedded({ RTC_SERVER_METRICS_ACCESS: access });
    const { status } = await fetch(`${url}/metrics`, { headers });
    await service.close();
    return status;
  };
  const as = (...roles: string[]) => ({ Authorization: `Bearer ${tokenOf('olga', { roles })}` });

  it('is open by default', async () => {
    const { service, url } = await startEmbedded();
    assert.equal((await fetch(`${url}/metrics`)).status, 200);
    await service.close();
  });

  it('can be limited to operators', async () => {
    assert.deepEqual(
      [await statusOf('token'), await statusOf('token', as('user')), await statusOf('token', as('viewer'))],
      [401, 403, 200],
    );
  });

  it('can be limited to this machine, also behind a proxy on it', async () => {
    const client = { 'X-Forwarded-For': '192.0.2.7' };
    assert.deepEqual([await statusOf('loopback'), await statusOf('loopback', client)], [200, 403]);
  });
});
