import jwt from 'jsonwebtoken';

/** The claims of a token about its user. */
interface TokenGrant {
  readonly userId: string;
  readonly roles: readonly string[];
  /** Topic patterns that the tokens are restricted to; names are subscribed by the service. */
  readonly topics?: readonly string[];
}

/**
 * An access token and a refresh token. Pairs of one login share a family; each refresh token can be used
 * once.
 */
export interface TokenPair {
  readonly accessToken: string;
  /** Seconds since 1970. */
  readonly accessExpiresAt: number;
  readonly refreshToken: string;
  readonly refreshExpiresAt: number;
  readonly familyId: string;
}

/** Ids and time of a pair. The same seed makes the same pair. */
export interface PairSeed {
  readonly accessId: string;
  readonly refreshId: string;
  readonly familyId: string;
  /** How many pairs of its family are before it. Undefined: an earlier version has made it. */
  readonly generation?: number;
  /** Seconds since 1970. */
  readonly issuedAt: number;
}

interface TokenIssuerDependencies {
  readonly secret: string;
  readonly newId: () => string;
  readonly now: () => number;
}

interface TokenIssuerSettings {
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  readonly accessTtlSecs: number;
  readonly refreshTtlSecs: number;
}

/** Value of the claim `typ` of refresh tokens. */
export const refreshType = 'refresh';

/**
 * Signs tokens (HS256) that this service accepts: access tokens, and refresh tokens to get new pairs with.
 */
export class TokenIssuer {
  constructor(
    private readonly dependencies: TokenIssuerDependencies,
    private readonly settings: TokenIssuerSettings,
  ) {}

  /** An access token that expires after `ttlSecs`. */
  access(grant: TokenGrant, ttlSecs = this.settings.accessTtlSecs): string {
    const issuedAt = this.nowSecs();
    return this.sign(grant, { jti: this.dependencies.newId(), iat: issuedAt, exp: issuedAt + ttlSecs });
  }

  /** Ids and time for a new pair, in the family of an earlier pair or in a new family. */
  newSeed(familyId = this.dependencies.newId(), generation = 0): PairSeed {
    const { newId } = this.dependencies;
    return { accessId: newId(), refreshId: newId(), familyId, generation, issuedAt: this.nowSecs() };
  }

  pair(grant: TokenGrant, seed = this.newSeed()): TokenPair {
    const { accessId, refreshId, familyId, generation, issuedAt } = seed;
    const accessExpiresAt = issuedAt + this.settings.accessTtlSecs;
    const refreshExpiresAt = issuedAt + this.settings.refreshTtlSecs;
    const common = { fam: familyId, iat: issuedAt };
    return {
      accessToken: this.sign(grant, { ...common, jti: accessId, exp: accessExpiresAt }),
      accessExpiresAt,
      refreshToken: this.sign(grant, {
        ...common,
        typ: refreshType,
        jti: refreshId,
        ...(generation !== undefined && { gen: generation }),
        exp: refreshExpiresAt,
      }),
      refreshExpiresAt,
      familyId,
    };
  }

  private sign({ userId, roles, topics }: TokenGrant, claims: object): string {
    const { issuer: iss, audience: aud } = this.settings;
    return jwt.sign(
      {
        sub: userId,
        roles,
        ...(topics !== undefined && { topics }),
        ...(iss !== undefined && { iss }),
        ...(aud !== undefined && { aud }),
        ...claims,
      },
      this.dependencies.secret,
      { algorithm: 'HS256' },
    );
  }

  private nowSecs(): number {
    return Math.floor(this.dependencies.now() / 1000);
  }
}
