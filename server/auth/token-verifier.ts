import { createPublicKey, createSecretKey, randomBytes, type JsonWebKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import jwt from 'jsonwebtoken';
import { RefusalError } from '../../shared/errors.js';
import { isTopicPattern } from '../../shared/topic-name.js';
import type { Identity } from './identity.js';

/** Algorithms a key can be used with; a key is good for exactly one. */
export type TokenAlgorithm = 'HS256' | 'RS256' | 'ES256';

/** A key and the one algorithm it is good for; the token's own word on that is never taken. */
export interface TokenKey {
  readonly key: KeyObject;
  readonly algorithm: TokenAlgorithm;
  /** Key id that a token's header has to name; undefined for a key without one. */
  readonly keyId?: string;
}

export interface TokenVerifierSettings {
  readonly keys: readonly TokenKey[];
  readonly issuer?: string;
  readonly audience?: string;
  readonly leewaySecs: number;
}

/** Where keys come from; at least one has to be given. */
export interface KeySources {
  readonly jwtSecret?: string | undefined;
  readonly publicKeyFile?: string | undefined;
  readonly jwksFile?: string | undefined;
}

const userIdLimit = 200;
const listLimit = 1000;

/** Verifies tokens (RFC 7519) and reads the claims this service knows. */
export class TokenVerifier {
  constructor(private readonly settings: TokenVerifierSettings) {}

  /** @throws RefusalError `unauthorized` or `token_expired`; its text never holds the token. */
  verify(token: string): Identity {
    const { algorithm, key } = this.keyFor(token);
    const { issuer, audience, leewaySecs } = this.settings;
    let claims: unknown;
    try {
      claims = jwt.verify(token, key, {
        algorithms: [algorithm],
        clockTolerance: leewaySecs,
        ...(issuer !== undefined && { issuer }),
        ...(audience !== undefined && { audience }),
      });
    } catch (error) {
      if (error instanceof jwt.TokenExpiredError)
        throw new RefusalError('token_expired', 'the token has expired');
      throw new RefusalError(
        'unauthorized',
        `the token is not valid: ${error instanceof Error ? error.message : 'unreadable'}`,
      );
    }
    return readClaims(claims);
  }

  /** The header is read only to choose among our keys. */
  private keyFor(token: string): TokenKey {
    const header = headerOf(token);
    const { keys } = this.settings;
    const named = keys.find((key) => key.keyId !== undefined && key.keyId === header.kid);
    const fitting = named ?? keys.find((key) => key.keyId === undefined && key.algorithm === header.alg);
    if (fitting !== undefined && fitting.algorithm === header.alg) return fitting;
    throw new RefusalError(
      'unauthorized',
      'the token is not valid: no key of this service fits its algorithm and key id',
    );
  }
}

function headerOf(token: string): { alg?: unknown; kid?: unknown } {
  const first = token.split('.', 1)[0] ?? '';
  try {
    const header: unknown = JSON.parse(Buffer.from(first, 'base64url').toString());
    if (typeof header === 'object' && header !== null) return header;
  } catch {
    // Told below.
  }
  throw new RefusalError('unauthorized', 'the token is not valid: it is not a JWT');
}

function readClaims(claims: unknown): Identity {
  if (typeof claims !== 'object' || claims === null) throw malformed('payload', 'must be an object');
  const { sub, user_id: userIdClaim, roles, topics, jti, iat, exp } = claims as Record<string, unknown>;
  const userId = sub ?? userIdClaim;
  if (typeof userId !== 'string' || userId.length === 0 || userId.length > userIdLimit) {
    throw malformed('sub', `(or user_id) must be a string of 1 to ${userIdLimit} characters`);
  }
  if (sub !== undefined && userIdClaim !== undefined && sub !== userIdClaim)
    throw malformed('user_id', 'must equal sub');
  const patterns = topics === undefined ? undefined : strings(topics, 'topics');
  const wrong = patterns?.find((pattern) => !isTopicPattern(pattern));
  if (wrong !== undefined) throw malformed('topics', 'must hold topic names or patterns');
  return {
    userId,
    roles: roles === undefined ? [] : strings(roles, 'roles'),
    autoSubscribe: (patterns ?? []).filter((pattern) => !pattern.includes('*')),
    ...(patterns !== undefined && { topics: patterns }),
    ...(typeof jti === 'string' && { tokenId: jti }),
    ...(typeof iat === 'number' && { issuedAt: iat }),
    ...(typeof exp === 'number' && { expiresAt: exp }),
  };
}

function strings(value: unknown, claim: string): string[] {
  if (!Array.isArray(value) || value.length > listLimit || !value.every((item) => typeof item === 'string')) {
    throw malformed(claim, `must be a list of at most ${listLimit} strings`);
  }
  return value;
}

function malformed(claim: string, rule: string): RefusalError {
  return new RefusalError('unauthorized', `the token's claim ${claim} ${rule}`, { field: claim });
}

/**
 * Reads the keys.
 *
 * @throws Error naming the file that cannot be read or holds no usable key.
 */
export function readKeys({ jwtSecret, publicKeyFile, jwksFile }: KeySources): TokenKey[] {
  const keys: TokenKey[] = [];
  if (jwtSecret !== undefined)
    keys.push({ key: createSecretKey(Buffer.from(jwtSecret)), algorithm: 'HS256' });
  if (publicKeyFile !== undefined)
    keys.push(asymmetric(createPublicKey(readFileSync(publicKeyFile)), publicKeyFile));
  if (jwksFile !== undefined) keys.push(...readJwks(jwksFile));
  return keys;
}

function readJwks(file: string): TokenKey[] {
  const { keys } = JSON.parse(readFileSync(file, 'utf8')) as { keys?: (JsonWebKey & { kid?: string })[] };
  if (!Array.isArray(keys) || keys.length === 0) throw new Error(`${file} holds no "keys"`);
  return keys.map((jwk) => {
    const key = asymmetric(createPublicKey({ key: jwk, format: 'jwk' }), file);
    return jwk.kid === undefined ? key : { ...key, keyId: jwk.kid };
  });
}

function asymmetric(key: KeyObject, file: string): TokenKey {
  if (key.asymmetricKeyType === 'rsa') return { key, algorithm: 'RS256' };
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1')
    return { key, algorithm: 'ES256' };
  throw new Error(`${file}: only RSA keys (RS256) and P-256 keys (ES256) can be used`);
}

/** A secret for one run, for development without one. */
export function makeDevelopmentSecret(): string {
  return randomBytes(32).toString('base64url');
}
