import jwt from 'jsonwebtoken';
import { RefusalError } from '../../shared/errors.js';
import { isTopicPattern } from '../../shared/topic-name.js';
import type { Identity } from './identity.js';
import type { TokenKey } from './token-keys.js';

export { makeDevelopmentSecret, readKeys } from './token-keys.js';

export interface TokenVerifierSettings {
  readonly keys: readonly TokenKey[];
  readonly issuer?: string;
  readonly audience?: string;
  readonly leewaySecs: number;
}

/** What the verifier asks of others. */
export interface TokenVerifierDependencies {
  /** Whether the token, or all tokens of its user, were revoked. */
  readonly isRevoked?: (identity: Identity) => boolean;
}

const userIdLimit = 200;
const listLimit = 1000;
const none: readonly string[] = Object.freeze([]);

/** Verifies tokens (RFC 7519) and reads the claims this service knows. */
export class TokenVerifier {
  constructor(
    private readonly settings: TokenVerifierSettings,
    private readonly dependencies: TokenVerifierDependencies = {},
  ) {}

  /** @throws RefusalError `unauthorized`, `token_expired` or `token_revoked`; its text never holds the token. */
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
        `the token is not valid: ${error instanceof jwt.JsonWebTokenError ? error.message : 'it cannot be read'}`,
      );
    }
    const identity = readClaims(claims);
    if (this.dependencies.isRevoked?.(identity) === true)
      throw new RefusalError('token_revoked', 'the token has been revoked');
    return identity;
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
  // A revocation finds a token by these two.
  if (jti !== undefined && typeof jti !== 'string') throw malformed('jti', 'must be a string');
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
    ...(iat !== undefined && { issuedAt: iat }),
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
