import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { readKeys } from '../../../server/auth/token-keys.js';
import { TokenVerifier } from '../../../server/auth/token-verifier.js';
import { root } from '../../support/root.js';

/** Runs `rtc` with only these variables. */
function rtc(environment: NodeJS.ProcessEnv, ...given: string[]) {
  const { PATH, HOME } = process.env;
  const program = ['--import', 'tsx', join(root, 'server', 'cli', 'rtc.ts'), ...given];
  const { status, stdout, stderr } = spawnSync(process.execPath, program, {
    cwd: root,
    env: { PATH, HOME, ...environment },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

describe('[CLI] rtc', () => {
  const secret = 'a secret of the command line';

  it('prints a token that the service accepts', () => {
    const given = ['token', '--user', 'ann', '--role', 'operator', 'user', '--topic', 'news', 'chat.*'];
    const { stdout } = rtc({ JWT_SECRET: secret }, ...given, '--expires', '5m');
    const verifier = new TokenVerifier({ keys: readKeys({ jwtSecret: secret }), leewaySecs: 0 });
    const { userId, roles, topics, issuedAt, expiresAt } = verifier.verify(stdout.trim());
    assert.deepEqual([userId, roles, topics], ['ann', ['operator', 'user'], ['news', 'chat.*']]);
    assert.equal(expiresAt! - issuedAt!, 300);
  });

  it('prints a token that matches issuer and audience, if they are set', () => {
    const environment = { JWT_SECRET: secret, RTC_AUTH_ISSUER: 'us', RTC_AUTH_AUDIENCE: 'rtc' };
    const { stdout } = rtc(environment, 'token', '--user', 'ann');
    const settings = { keys: readKeys({ jwtSecret: secret }), leewaySecs: 0, issuer: 'us', audience: 'rtc' };
    assert.equal(new TokenVerifier(settings).verify(stdout.trim()).userId, 'ann');
  });

  it('reports a missing or invalid argument and ends with code 2', () => {
    const missing = rtc({}, 'token', '--user', 'ann');
    assert.deepEqual([missing.status, /JWT_SECRET/.test(missing.stderr)], [2, true]);
    const wrong = rtc({ RTC_SERVER_PROT: '1' }, 'config');
    assert.deepEqual([wrong.status, /did you mean RTC_SERVER_PORT/.test(wrong.stderr)], [2, true]);
  });

  it('prints the current settings without their secrets', () => {
    const { stdout } = rtc(
      { JWT_SECRET: secret, REDIS_URL: 'redis://user:h@ush@host/1', PORT: '9000' },
      'config',
    );
    assert.doesNotMatch(stdout, /a secret of|ush@/);
    assert.match(stdout, /"port": 9000/);
    const file = join(root, 'config.example.toml');
    assert.match(rtc({}, '--config', file, 'config').stdout, /"port": 8081/);
    assert.equal(rtc({}, '--config', 'absent.toml', 'config').status, 2);
    assert.match(stdout, /redis:\/\/\[hidden\]@host\/1/);
  });

  it('says what a configuration lacks of the profile hardened, one line per setting, with exit code 1', () => {
    const environment = { RTC_LIMITS_USER_RPS: '1000', RTC_AUTH_REQUIRE_EXP: 'on' };
    const { status, stdout } = rtc(environment, 'config', 'check', '--profile', 'hardened');
    assert.equal(status, 1);
    const lines = stdout.trim().split('\n');
    assert.ok(
      lines.every((line) => /^[a-z_.]+: present .+, hardened .+ \(.+\); set /.test(line)),
      stdout,
    );
    assert.ok(lines.some((line) => line.startsWith('limits.user_rps: present 1000, hardened 300 (')));
    assert.ok(lines.some((line) => line.startsWith('limits.user_new_topics: present 0, hardened 1000 (')));
    const forwarders = 'limits.untrusted_forwarders: present "exempt", hardened "limit" (';
    assert.ok(lines.some((line) => line.startsWith(forwarders)));
    assert.ok(!lines.some((line) => line.startsWith('auth.require_exp')));
    assert.equal(rtc({}, 'config', 'check').status, 0);
  });

  it('ends with 0 if nothing is missing of the profile, and with 2 if the settings are invalid', () => {
    const hardened = { RTC_SERVER_PROFILE: 'hardened', JWT_SECRET: 'x'.repeat(32) };
    const check = ['config', 'check', '--profile', 'hardened'];
    assert.equal(rtc(hardened, ...check).status, 0);
    const short = rtc({ ...hardened, JWT_SECRET: 'short' }, ...check);
    assert.deepEqual([short.status, /at least 32 bytes/.test(short.stderr)], [2, true]);
  });
});
