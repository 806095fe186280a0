import { isUtf8 } from 'node:buffer';
import jwt from 'jsonwebtoken';
import { RefusalError } from '../../shared/errors.js';
import { isTopicPattern } from '../../shared/topic-name.js';
import type { Identity } from '../protocol/identity.js';
import { isName, isUserId, nameRule, userIdLimit, userIdRule } from '../protocol/name.js';
import { refreshType } from './token-issuer.js';
import type { TokenKey } from './token-keys.js';
import { notJwt, tokenProblem } from './token-problem.js';

interface TokenVerifierSettings {
  readonly keys: readonly TokenKey[];
  readonly issuer?: string;
  readonly audience?: string;
  readonly leewaySecs: number;
  /** Whether access tokens without `exp` are refused. */
  readonly requireExp?: boolean;
  /** Access tokens that expire later than this, or never, are refused; 0 for no limit. */
  readonly maxTtlSecs?: number;
}

/** Dependencies of the verifier. */
interface TokenVerifierDependencies {
  /** Whether the token, or all tokens of its user, were revoked. */
  readonly isRevoked?: (identity: Identity) => boolean;
  /** The current time, in milliseconds since 1970; default: the system clock. */
  readonly now?: () => number;
}

/** Longest header of a token, in characters. One with a chain of certificates has a few thousand. */
const headerLimit = 16_384;
const listLimit = 1000;
const none: readonly string[] = Object.freeze([]);

/** The identity of a refresh token. These claims are always present. */
export type RefreshIdentity = Identity & {
  readonly tokenId: string;
  readonly familyId: string;
  readonly expiresAt: number;
  /** How many pairs of its family are before that of the token; undefined: an earlier version has issued it. */
  readonly generation?: number;
};

/** Verifies tokens (RFC 7519) and reads the claims this service knows. */
export class TokenVerifier {
  constructor(
    private readonly settings: TokenVerifierSettings,
    private readonly dependencies: TokenVerifierDependencies = {},
  ) {}

  /**
   * Verifies an access token.
   *
   * @throws RefusalError `unauthorized`, `token_expired` or `token_revoked`; its text never holds the token.
   */
  verify(token: string): Identity {
    const claims = this.claimsOf(token);
    if (isRefresh(claims))
      throw new RefusalError(
        'unauthorized',
        'the token is not valid: it is a refresh token, and connecting takes an access token',
      );
    return this.unlessRevoked(this.expiring(this.issued(readClaims(claims))));
  }

  /** Verifies a refresh token of this service. @throws RefusalError as {@link verify} */
  verifyRefresh(token: string): RefreshIdentity {
    const claims = this.claimsOf(token);
    const identity = readClaims(claims);
    const { tokenId, familyId, expiresAt } = identity;
    if (!isRefresh(claims) || tokenId === undefined || familyId === undefined || expiresAt === undefined)
      throw new RefusalError('unauthorized', 'the token is not a refresh token of this service');
    this.unlessRevoked(this.issued(identity));
    const { gen: generation } = claims as { readonly gen?: unknown };
    const isCounted = Number.isSafeInteger(generation) && (generation as number) >= 0;
    return {
      ...identity,
      tokenId,
      familyId,
      expiresAt,
      ...(isCounted && { generation: generation as number }),
    };
  }

  /**
   * Reads any token with a valid signature, also one that has expired or is revoked.
   *
   * @throws RefusalError `unauthorized`
   */
  read(token: string): Identity {
    return readClaims(this.claimsOf(token, true));
  }

  /**
   * The identity of a token that was verified before.
   *
   * @throws RefusalError `token_revoked` if it has been revoked since
   */
  unlessRevoked(identity: Identity): Identity {
    if (this.dependencies.isRevoked?.(identity) === true)
      throw new RefusalError('token_revoked', 'the token has been revoked');
    return identity;
  }

  /** A token issued in the future would remain valid after a revocation of the tokens issued until now. */
  private issued(identity: Identity): Identity {
    const { now = Date.now } = this.dependencies;
    if (identity.issuedAt !== undefined && identity.issuedAt > now() / 1000 + this.settings.leewaySecs)
      throw malformed('iat', 'is in the future');
    return identity;
  }

  /** The settings decide whether a token has to expire, and how soon. */
  private expiring(identity: Identity): Identity {
    const { requireExp = false, maxTtlSecs = 0, leewaySecs } = this.settings;
    const { now = Date.now } = this.dependencies;
    const { expiresAt } = identity;
    if (expiresAt === undefined) {
      if (requireExp || maxTtlSecs > 0)
        throw malformed('exp', 'is required: this service accepts only tokens that expire');
    } else if (maxTtlSecs > 0 && expiresAt > now() / 1000 + maxTtlSecs + leewaySecs)
      throw malformed('exp', `is too late: a token may be valid for at most ${maxTtlSecs} seconds`);
    return identity;
  }

  private claimsOf(token: string, expired = false): unknown {
    const { algorithm, key } = this.keyFor(token);
    // Decoded as text, all invalid bytes become one character: two users could become one.
    if (!isUtf8(Buffer.from(token.split('.', 2)[1] ?? '', 'base64url')))
      throw invalid('its payload is not UTF-8 text');
    const { issuer, audience, leewaySecs } = this.settings;
    const { now } = this.dependencies;
    try {
      return jwt.verify(token, key, {
        algorithms: [algorithm],
        clockTolerance: leewaySecs,
        ...(now && { clockTimestamp: Math.floor(now() / 1000) }),
        ignoreExpiration: expired,
        ...(issuer !== undefined && { issuer }),
        ...(audience !== undefined && { audience }),
      });
    } catch (error) {
      if (error instanceof jwt.TokenExpiredError)
        throw new RefusalError('token_expired', 'the token has expired (claim exp): get a new one');
      throw invalid(tokenProblem(error));
    }
  }

  /** The header is read only to select one of our keys. */
  private keyFor(token: string): TokenKey {
    const header = headerOf(token);
    // RFC 7515, section 4.1.11: extensions that must be understood. This service knows none, and the library ignores them.
    if (header.crit !== undefined)
      throw invalid('its header names critical extensions (crit), and this service knows none');
    const { keys } = this.settings;
    const named = keys.find((key) => key.keyId !== undefined && key.keyId === header.kid);
    const fitting = named ?? keys.find((key) => key.keyId === undefined && key.algorithm === header.alg);
    if (fitting !== undefined && fitting.algorithm === header.alg) return fitting;
    throw invalid('this service has no key for its algorithm and key id (header alg and kid)');
  }
}

function headerOf(token: string): { alg?: unknown; kid?: unknown; crit?: unknown } {
  const first = token.split('.', 1)[0] ?? '';
  // Nobody has signed it yet, and JSON can be costly to read.
  if (first.length > headerLimit) throw invalid('its header is too long');
  try {
    const header: unknown = JSON.parse(Buffer.from(first, 'base64url').toString());
    if (typeof header === 'object' && header !== null) return header;
  } catch {
    // The error is thrown below.
  }
  throw invalid(notJwt);
}

function invalid(problem: string): RefusalError {
  return new RefusalError('unauthorized', `the token is not valid: ${problem}`);
}

function isRefresh(claims: unknown): boolean {
  const { typ } = (claims ?? {}) as { typ?: unknown };
  return typeof typ === 'string' && typ.toLowerCase() === refreshType;
}

function readClaims(claims: unknown): Identity {
  if (typeof claims !== 'object' || claims === null) throw malformed('payload', 'must be an object');
  const { sub, user_id: userIdClaim, roles, topics, jti, fam, iat, exp } = claims as Record<string, unknown>;
  const userId = sub ?? userIdClaim;
  if (typeof userId !== 'string' || userId.length === 0 || userId.length > userIdLimit) {
    throw malformed('sub', `(or user_id) must be a string of 1 to ${userIdLimit} characters`);
  }
  if (!isName(userId)) throw malformed('sub', `(or user_id) ${nameRule}`);
  if (!isUserId(userId)) throw malformed('sub', `(or user_id) ${userIdRule}`);
  if (sub !== undefined && userIdClaim !== undefined && sub !== userIdClaim)
    throw malformed('user_id', 'must equal sub');
  // Revocations identify a token by these two claims.
  if (jti !== undefined && typeof jti !== 'string') throw malformed('jti', 'must be a string');
  for (const [claim, id] of [
    ['jti', jti],
    ['fam', fam],
  ] as const)
    if (typeof id === 'string' && !isName(id)) throw malformed(claim, nameRule);
  if (iat !== undefined && typeof iat !== 'number') throw malformed('iat', 'must be a number');
  const patterns = topics === undefined ? undefined : strings(topics, 'topics');
  const wrong = patterns?.find((pattern) => !isTopicPattern(pattern));
  if (wrong !== undefined) throw malformed('topics', 'must hold topic names or patterns');
  return {
    userId,
    roles: roles === undefined ? none : strings(roles, 'roles'),
    autoSubscribe: patterns === undefined ? none : patterns.filter((pattern) => !pattern.includes('*')),
    ...(patterns !== undefined && { topics: patterns }),
    ...(jti !== undefined && { tokenId: jti }),
    ...(typeof fam === 'string' && { familyId: fam }),
    ...(iat !== undefined && { issuedAt: iat }),
    ...(typeof exp === 'number' && { expiresAt: exp }),
  };
}

function strings(value: unknown, claim: string): readonly string[] {
  if (!Array.isArray(value) || value.length > listLimit || !value.every((item) => typeof item === 'string')) {
    throw malformed(claim, `must be a list of at most ${listLimit} strings`);
  }
  if (!value.every(isName)) throw malformed(claim, nameRule);
  // Programs get these lists.
  return Object.freeze(value);
}

function malformed(claim: string, rule: string): RefusalError {
  return new RefusalError('unauthorized', `the token's claim ${claim} ${rule}`, { field: claim });
}
