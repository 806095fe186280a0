import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { RefusalError } from '../../../shared/errors.js';
import { Permissions } from '../../../server/auth/permissions.js';
import { readKeys } from '../../../server/auth/token-keys.js';
import { TokenVerifier } from '../../../server/auth/token-verifier.js';

const secret = 'shared secret';
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof RefusalError, String(error));
    return error.code;
  }
};

describe('[AUTH] TokenVerifier', () => {
  const verifier = new TokenVerifier({ keys: readKeys({ jwtSecret: secret }), leewaySecs: 60 });
  const secondsNow = () => Math.floor(Date.now() / 1000);
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'rtc-keys-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  it('reads the claims', () => {
    const now = secondsNow();
    const token = jwt.sign(
      { sub: 'ann', roles: ['user'], topics: ['news', 'chat.*'], jti: 'j', iat: now, exp: now + 60 },
      secret,
    );
    assert.deepEqual(verifier.verify(token), {
      userId: 'ann',
      roles: ['user'],
      topics: ['news', 'chat.*'],
      autoSubscribe: ['news'],
      tokenId: 'j',
      issuedAt: now,
      expiresAt: now + 60,
    });
    assert.equal(verifier.verify(jwt.sign({ user_id: 'bob' }, secret)).userId, 'bob');
  });

  it('refuses critical extensions in the header, because it knows none (RFC 7515, section 4.1.11)', () => {
    for (const crit of [['b64'], ['exp'], [], 'x', null]) {
      const header = { alg: 'HS256', crit, b64: false } as unknown as jwt.JwtHeader;
      const token = jwt.sign({ sub: 'a' }, secret, { header });
      assert.equal(
        codeOf(() => verifier.verify(token)),
        'unauthorized',
        JSON.stringify(crit),
      );
      assert.equal(
        codeOf(() => verifier.verifyRefresh(token)),
        'unauthorized',
      );
    }
  });

  it('does not read a header of more than 16,384 characters: nobody has signed it yet', () => {
    const withHeader = (characters: number) =>
      jwt.sign({ sub: 'a' }, secret, {
        header: { alg: 'HS256', x: 'x'.repeat(characters) } as unknown as jwt.JwtHeader,
      });
    assert.equal(verifier.verify(withHeader(12_000)).userId, 'a');
    assert.throws(() => verifier.verify(withHeader(12_400)), /its header is too long/);
  });

  it('requires an expiry if the settings say so, and one that is not too late', () => {
    const keys = readKeys({ jwtSecret: secret });
    const now = secondsNow();
    const never = jwt.sign({ sub: 'a' }, secret);
    const inHours = (hours: number) => jwt.sign({ sub: 'a', exp: now + hours * 3600 }, secret);
    const requiring = new TokenVerifier({ keys, leewaySecs: 60, requireExp: true });
    assert.throws(() => requiring.verify(never), /claim exp is required/);
    assert.equal(requiring.verify(inHours(10_000)).userId, 'a');
    const limiting = new TokenVerifier({ keys, leewaySecs: 60, maxTtlSecs: 3600 });
    assert.throws(() => limiting.verify(never), /claim exp is required/);
    assert.throws(() => limiting.verify(inHours(2)), /claim exp is too late: .* at most 3600 seconds/);
    assert.equal(limiting.verify(inHours(1)).userId, 'a');
    assert.equal(verifier.verify(never).userId, 'a');
  });

  it('does not limit refresh tokens by the lifetime of access tokens', () => {
    const limiting = new TokenVerifier({
      keys: readKeys({ jwtSecret: secret }),
      leewaySecs: 60,
      maxTtlSecs: 3600,
    });
    const claims = { sub: 'a', typ: 'refresh', jti: 'j', fam: 'f', exp: secondsNow() + 86_400 };
    assert.equal(limiting.verifyRefresh(jwt.sign(claims, secret)).tokenId, 'j');
  });

  it('allows a clock difference of one minute, and no more', () => {
    const now = secondsNow();
    assert.equal(
      codeOf(() => verifier.verify(jwt.sign({ sub: 'a', exp: now - 50 }, secret))),
      undefined,
    );
    assert.equal(
      codeOf(() => verifier.verify(jwt.sign({ sub: 'a', exp: now - 70 }, secret))),
      'token_expired',
    );
    assert.equal(
      codeOf(() => verifier.verify(jwt.sign({ sub: 'a', nbf: now + 50 }, secret))),
      undefined,
    );
    assert.equal(
      codeOf(() => verifier.verify(jwt.sign({ sub: 'a', nbf: now + 70 }, secret))),
      'unauthorized',
    );
  });

  it('refuses tokens without a valid signature, and malformed claims', () => {
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"a"}').toString('base64url')}.`;
    const wrong = [
      'rubbish',
      '',
      '..',
      unsigned,
      jwt.sign({ sub: 'a' }, 'another secret'),
      jwt.sign({ sub: 'a' }, secret, { algorithm: 'HS512' }),
      jwt.sign({}, secret),
      jwt.sign({ sub: '' }, secret),
      jwt.sign({ sub: 'a', user_id: 'b' }, secret),
      jwt.sign({ sub: 'a', roles: 'admin' }, secret),
      jwt.sign({ sub: 'a', topics: ['not a topic'] }, secret),
    ];
    for (const token of wrong)
      assert.equal(
        codeOf(() => verifier.verify(token)),
        'unauthorized',
        token,
      );
  });

  it('names the invalid claim', () => {
    const claimOf = (claims: object) => {
      try {
        verifier.verify(jwt.sign(claims, secret));
      } catch (error) {
        assert.ok(error instanceof RefusalError);
        return error.details.field;
      }
      return undefined;
    };
    assert.equal(claimOf({ user_id: 5 }), 'sub');
    assert.equal(claimOf({ sub: 'a', user_id: 'b' }), 'user_id');
    assert.equal(claimOf({ sub: 'a', roles: ['x', 1] }), 'roles');
    assert.equal(claimOf({ sub: 'a', topics: 'news' }), 'topics');
  });

  it('refuses names with control characters or lone surrogates, which would be stored as other names', () => {
    const signed = (payload: Buffer | string) => {
      const head = Buffer.from('{"alg":"HS256"}').toString('base64url');
      const content = `${head}.${Buffer.from(payload).toString('base64url')}`;
      return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
    };
    const refusal = (claims: string) => {
      try {
        verifier.verify(signed(claims));
      } catch (error) {
        assert.ok(error instanceof RefusalError);
        return error.details.field;
      }
      throw new Error(`accepted: ${claims}`);
    };
    for (const name of ['a\\ud800', '\\udc00', 'a\\u0000', 'a\\nb', '\\u0085', '\\u2028']) {
      assert.equal(refusal(`{"sub":"${name}"}`), 'sub');
      assert.equal(refusal(`{"user_id":"${name}"}`), 'sub');
      assert.equal(refusal(`{"sub":"a","jti":"${name}"}`), 'jti');
      assert.equal(refusal(`{"sub":"a","fam":"${name}"}`), 'fam');
      assert.equal(refusal(`{"sub":"a","roles":["${name}"]}`), 'roles');
    }
    assert.equal(
      codeOf(() =>
        verifier.verify(signed(Buffer.from([...Buffer.from('{"sub":"a'), 0xff, ...Buffer.from('"}')]))),
      ),
      'unauthorized',
    );
    // No address can name these two.
    for (const name of ['.', '..']) assert.equal(refusal(`{"sub":"${name}"}`), 'sub');
    for (const name of ['...', '.a', 'Ł\u0301', 'é', 'e\u0301', '😀', '__proto__', 'a b', '\u202e'])
      assert.equal(verifier.verify(signed(JSON.stringify({ sub: name }))).userId, name);
  });

  it('refuses a revoked token', () => {
    const revoking = new TokenVerifier(
      { keys: readKeys({ jwtSecret: secret }), leewaySecs: 60 },
      { isRevoked: ({ tokenId }) => tokenId === 'gone' },
    );
    const sign = (jti: string) => jwt.sign({ sub: 'a', jti }, secret);
    assert.equal(revoking.verify(sign('good')).userId, 'a');
    assert.equal(
      codeOf(() => revoking.verify(sign('gone'))),
      'token_revoked',
    );
  });

  describe('says by itself what is wrong, without what the settings expect', () => {
    const strict = new TokenVerifier({
      keys: readKeys({ jwtSecret: secret }),
      leewaySecs: 60,
      issuer: 'issuer-of-settings',
      audience: 'audience-of-settings',
    });
    const fitting = { sub: 'a', iss: 'issuer-of-settings', aud: 'audience-of-settings' };
    const sign = (claims: object, key = secret) => jwt.sign({ ...fitting, ...claims }, key);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    /** As sign, but with claims that the library would not sign. */
    const forced = (claims: object) => {
      const content = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ ...fitting, ...claims })}`;
      return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
    };
    const cases: [token: string, message: string][] = [
      [
        sign({}, 'another secret'),
        'the token is not valid: it is signed with another secret or key than that of this service',
      ],
      [sign({ aud: 'other' }), 'the token is not valid: it is for another audience (claim aud)'],
      [sign({ iss: 'other' }), 'the token is not valid: it is from another issuer (claim iss)'],
      [sign({ nbf: now + 1000 }), 'the token is not valid: its time has not begun (claim nbf)'],
      [forced({ nbf: 'soon' }), 'the token is not valid: its claim nbf must be a number'],
      [forced({ exp: 'late' }), 'the token is not valid: its claim exp must be a number'],
      [sign({ exp: now - 1000 }), 'the token has expired (claim exp): get a new one'],
      [
        sign({ typ: 'refresh' }),
        'the token is not valid: it is a refresh token, and connecting takes an access token',
      ],
      [`${part({ alg: 'HS256' })}.${part(fitting)}.`, 'the token is not valid: it is not signed'],
      [
        jwt.sign(fitting, secret, { algorithm: 'HS512' }),
        'the token is not valid: this service has no key for its algorithm and key id (header alg and kid)',
      ],
      ...['no-token', 'a.b.c', `${part({ alg: 'HS256' })}.x`].map((text): [string, string] => [
        text,
        'the token is not valid: it is not a JWT: three parts of base64url text, joined by dots',
      ]),
    ];
    for (const [token, message] of cases)
      it(message, () => {
        assert.throws(
          () => strict.verify(token),
          (error: Error) => error.message === message && !error.message.includes('of-settings'),
        );
      });
  });

  it('never tells the token in its error', () => {
    const token = jwt.sign({ sub: 'a' }, 'another secret');
    assert.throws(
      () => verifier.verify(token),
      (error: Error) => !error.message.includes(token.slice(0, 20)),
    );
  });

  it('checks issuer and audience if they are set', () => {
    const strict = new TokenVerifier({
      keys: readKeys({ jwtSecret: secret }),
      leewaySecs: 60,
      issuer: 'us',
      audience: 'rtc',
    });
    assert.equal(
      codeOf(() => strict.verify(jwt.sign({ sub: 'a', iss: 'us', aud: 'rtc' }, secret))),
      undefined,
    );
    assert.equal(
      codeOf(() => strict.verify(jwt.sign({ sub: 'a', iss: 'them', aud: 'rtc' }, secret))),
      'unauthorized',
    );
    assert.equal(
      codeOf(() => strict.verify(jwt.sign({ sub: 'a', iss: 'us' }, secret))),
      'unauthorized',
    );
  });

  for (const [algorithm, pair] of [
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'prime256v1' })],
  ] as const) {
    it(`verifies ${algorithm} with a public key, and refuses HS256 with it`, () => {
      const pem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
      const path = join(directory, `${algorithm}.pem`);
      writeFileSync(path, pem);
      const byKey = new TokenVerifier({ keys: readKeys({ publicKeyFile: path }), leewaySecs: 60 });
      assert.equal(byKey.verify(jwt.sign({ sub: 'a' }, pair.privateKey, { algorithm })).userId, 'a');
      const head = `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.${Buffer.from('{"sub":"a"}').toString('base64url')}`;
      const forged = `${head}.${createHmac('sha256', pem).update(head).digest('base64url')}`;
      assert.equal(
        codeOf(() => byKey.verify(forged)),
        'unauthorized',
      );
    });

    it(`finds ${algorithm} keys in a JWKS file by their id`, () => {
      const path = join(directory, `${algorithm}.json`);
      const jwk = createPublicKey(pair.privateKey).export({ format: 'jwk' });
      writeFileSync(path, JSON.stringify({ keys: [{ ...jwk, kid: 'k1' }] }));
      const byKid = new TokenVerifier({ keys: readKeys({ jwksFile: path }), leewaySecs: 60 });
      assert.equal(
        byKid.verify(jwt.sign({ sub: 'a' }, pair.privateKey, { algorithm, keyid: 'k1' })).userId,
        'a',
      );
      assert.equal(
        codeOf(() => byKid.verify(jwt.sign({ sub: 'a' }, pair.privateKey, { algorithm, keyid: 'k2' }))),
        'unauthorized',
      );
    });
  }

  describe('reading keys', () => {
    const file = (name: string, content: string) => {
      const path = join(directory, name);
      writeFileSync(path, content);
      return path;
    };
    const rsa = (bits: number) => generateKeyPairSync('rsa', { modulusLength: bits }).publicKey;

    it('uses only keys for signatures with RS256 and ES256 from a key set', () => {
      const jwk = rsa(2048).export({ format: 'jwk' });
      const ed25519 = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
      const keys = [
        { ...jwk, kid: 'good' },
        { ...jwk, kid: 'encryption', use: 'enc' },
        { ...jwk, kid: 'other algorithm', alg: 'RS512' },
        { ...ed25519, kid: 'other curve' },
        { kty: 'oct', k: 'c2VjcmV0', kid: 'secret' },
      ];
      const path = file('mixed.json', JSON.stringify({ keys }));
      assert.deepEqual(
        readKeys({ jwksFile: path }).map(({ keyId }) => keyId),
        ['good'],
      );
    });

    it('names the file that contains no usable key', () => {
      const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).publicKey;
      const pem = (key: typeof p384) => key.export({ type: 'spki', format: 'pem' }).toString();
      const wrong = [
        { publicKeyFile: join(directory, 'absent.pem') },
        { publicKeyFile: file('text.pem', 'not a key') },
        { publicKeyFile: file('p384.pem', pem(p384)) },
        { publicKeyFile: file('short.pem', pem(rsa(1024))) },
        { jwksFile: file('text.json', 'not JSON') },
        { jwksFile: file('list.json', '{}') },
        { jwksFile: file('empty.json', '{"keys":[]}') },
      ];
      for (const sources of wrong) {
        const path = String(Object.values(sources)[0]);
        assert.throws(
          () => readKeys(sources),
          (error: Error) => error.message.startsWith(path),
        );
      }
    });
  });
});

describe('[AUTH] Permissions', () => {
  const permissions = new Permissions([
    { role: '*', topics: ['public.*'], allow: ['subscribe'] },
    { role: 'writer', topics: ['public.*', 'news'], allow: ['publish', 'subscribe'] },
  ]);
  const who = (roles: string[], topics?: string[]) => ({
    userId: 'u',
    roles,
    autoSubscribe: [],
    ...(topics && { topics }),
  });

  it('allow by role and pattern, and nothing without a rule', () => {
    assert.equal(permissions.allows(who([]), 'subscribe', 'public.a'), true);
    assert.equal(permissions.allows(who([]), 'subscribe', 'public'), false);
    assert.equal(permissions.allows(who([]), 'publish', 'public.a'), false);
    assert.equal(permissions.allows(who(['writer']), 'publish', 'news'), true);
    assert.equal(permissions.allows(who(['writer']), 'history', 'news'), false);
    assert.equal(
      codeOf(() => permissions.check(who([]), 'publish', 'news')),
      'forbidden',
    );
  });

  it('are restricted by the topics of the token, never extended', () => {
    assert.equal(permissions.allows(who(['writer'], ['news']), 'publish', 'news'), true);
    assert.equal(permissions.allows(who(['writer'], ['news']), 'publish', 'public.a'), false);
    assert.equal(permissions.allows(who([], ['news']), 'publish', 'news'), false);
  });

  it('distinguish role lists, whatever characters the names contain', () => {
    const rules = new Permissions([{ role: 'a', topics: ['*'], allow: ['publish'] }]);
    assert.equal(rules.allows(who(['a', 'b']), 'publish', 't'), true);
    for (const role of ['a\nb', 'a,b', '["a","b"]'])
      assert.equal(rules.allows(who([role]), 'publish', 't'), false);
  });
});
