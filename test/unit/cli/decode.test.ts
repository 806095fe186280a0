import assert from 'node:assert/strict';
import jwt from 'jsonwebtoken';
import { decode } from '../../../server/cli/decode.js';
import { loadSettings } from '../../../server/config/load.js';

describe('[CLI] rtc decode', () => {
  // A fixed time, not that of the clock: every part of the answer must use it.
  const now = Date.UTC(2026, 0, 1);
  const nowSecs = Math.floor(now / 1000);
  const secret = 'a secret of the command line';
  const withSecret = (more: NodeJS.ProcessEnv = {}) => loadSettings({ JWT_SECRET: secret, ...more });
  const tokenOf = (claims: object, key = secret) => jwt.sign({ sub: 'ann', iat: nowSecs, ...claims }, key);

  it('shows header, payload and remaining time of a valid token', () => {
    const decoded = decode(tokenOf({ exp: nowSecs + 90 }), withSecret, now);
    assert.deepEqual(decoded, {
      header: { alg: 'HS256', typ: 'JWT' },
      payload: { sub: 'ann', iat: nowSecs, exp: nowSecs + 90 },
      expiry: 'expires in 90 s',
      signature: 'valid',
      verdict: 'accepted',
    });
  });

  it('shows the same without a key, and with invalid settings', () => {
    const token = tokenOf({ exp: nowSecs + 90 });
    const alone = decode(token, () => loadSettings({}), now);
    assert.deepEqual([alone.expiry, alone.verdict], ['expires in 90 s', 'not checked']);
    assert.match(alone.signature, /not checked: .*JWT_SECRET/);
    const wrong = decode(token, () => loadSettings({ RTC_SERVER_PROT: '1' }), now);
    assert.equal(wrong.expiry, 'expires in 90 s');
    assert.match(wrong.signature, /not checked: .*RTC_SERVER_PROT/);
  });

  it('distinguishes an expired token from one that is signed with another secret', () => {
    const old = decode(tokenOf({ exp: nowSecs - 100 }), withSecret, now);
    assert.deepEqual([old.expiry, old.signature], ['expired since 100 s', 'valid']);
    assert.match(old.verdict, /^token_expired/);
    const foreign = decode(tokenOf({ exp: nowSecs + 90 }, 'another'), withSecret, now);
    assert.match(foreign.signature, /^not valid/);
    assert.match(foreign.verdict, /^unauthorized/);
  });

  it('accepts what the service accepts: leeway, issuer and claims', () => {
    const late = tokenOf({ exp: nowSecs - 30 });
    assert.equal(decode(late, withSecret, now).verdict, 'accepted');
    const strict = decode(late, () => withSecret({ RTC_AUTH_LEEWAY_SECS: '0' }), now);
    assert.match(strict.verdict, /^token_expired/);
    const issued = decode(tokenOf({}), () => withSecret({ RTC_AUTH_ISSUER: 'us' }), now);
    assert.deepEqual([issued.signature, issued.expiry], ['valid', 'never']);
    assert.match(issued.verdict, /^unauthorized: .*issuer/);
  });

  it('reports a text that is not a token', () => {
    for (const text of ['', 'abc', 'a.b.c', '...']) {
      const decoded = decode(text, withSecret, now);
      assert.deepEqual([decoded.header, decoded.payload], [null, null], text);
      assert.match(decoded.verdict, /^unauthorized/);
    }
  });
});
