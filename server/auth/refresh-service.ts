import { RefusalError } from '../../shared/errors.js';
import type { SharedStore } from '../cluster/shared-store.js';
import type { Log } from '../logging/log.js';
import type { Revocations } from './revocations.js';
import type { PairSeed, TokenIssuer, TokenPair } from './token-issuer.js';
import type { RefreshIdentity, TokenVerifier } from './token-verifier.js';

interface RefreshServiceDependencies {
  /** Undefined if this service has only public keys and cannot sign. */
  readonly issuer: TokenIssuer | undefined;
  readonly verifier: TokenVerifier;
  readonly revocations: Revocations;
  readonly store: SharedStore;
  readonly log: Log;
  readonly now: () => number;
}

/** The record of a used refresh token. */
interface Used {
  /** The pair it was exchanged for. */
  readonly seed: PairSeed;
  /** When the pair was first returned. Missing if the replica that wrote the record failed before that. */
  readonly answeredMs?: number;
}

/**
 * A repetition within this time returns the same pair again, because the first response may have been lost
 * (RFC 9700, section 4.14.2).
 */
const graceMs = 10_000;

/**
 * Exchanges refresh tokens for new pairs. Each can be used once. A second use means that the token was
 * copied, so all tokens of that login are revoked.
 */
export class RefreshService {
  /** Refresh tokens used again after the grace period. */
  reuses = 0;

  constructor(private readonly dependencies: RefreshServiceDependencies) {}

  /**
   * @throws RefusalError `unauthorized`, `token_expired`, `token_revoked`, `conflict` if this service cannot
   * sign, `unavailable`
   */
  async refresh(token: string): Promise<TokenPair> {
    const { issuer, verifier, store, now } = this.dependencies;
    if (issuer === undefined) throw cannotSign();
    const identity = verifier.verifyRefresh(token);
    const used: Used = { seed: issuer.newSeed(identity.familyId) };
    const key = `refresh:${identity.tokenId}`;
    const keepMs = Math.max(1, identity.expiresAt * 1000 - now()) + keptAfterMs;
    const earlier = (await store.setIfAbsent(key, JSON.stringify(used), keepMs))
      ? undefined
      : await this.usedBefore(key);
    if (earlier?.answeredMs !== undefined && now() - earlier.answeredMs > graceMs)
      return this.reused(identity);
    const { seed, answeredMs } = earlier ?? used;
    if (answeredMs === undefined) {
      // Not awaited: if this write fails, the token can be repeated for longer, but a user whose response was
      // lost in a failure of Redis stays logged in.
      store.set(key, JSON.stringify({ seed, answeredMs: now() } satisfies Used), keepMs).catch(() => {});
    }
    return issuer.pair(identity, seed);
  }

  private async usedBefore(key: string): Promise<Used | undefined> {
    const text = await this.dependencies.store.get(key);
    return text === undefined ? undefined : (JSON.parse(text) as Used);
  }

  private async reused({ userId, familyId }: RefreshIdentity): Promise<never> {
    this.reuses++;
    this.dependencies.log.warn('Refresh token was used twice', { user_id: userId, family_id: familyId });
    await this.dependencies.revocations.revokeFamily(familyId, 'a refresh token was used twice');
    throw new RefusalError('token_revoked', 'the refresh token was used before: log in again');
  }
}

/** Tokens are accepted until the leeway after their expiry; the record of a used one is kept for longer. */
const keptAfterMs = 3_600_000;

/** The refusal of a service that has only public keys. */
export function cannotSign(): RefusalError {
  return new RefusalError('conflict', 'this service only verifies tokens: it has no secret to sign with');
}
