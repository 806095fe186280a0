import { RefusalError } from '../../shared/errors.js';
import type { SharedStore } from '../cluster/shared-store.js';
import type { Log } from '../logging/log.js';
import type { Revocations } from './revocations.js';
import type { PairSeed, TokenIssuer, TokenPair } from './token-issuer.js';
import type { RefreshIdentity, TokenVerifier } from './token-verifier.js';

interface RefreshServiceDependencies {
  /** Undefined: this service has public keys only and cannot sign. */
  readonly issuer: TokenIssuer | undefined;
  readonly verifier: TokenVerifier;
  readonly revocations: Revocations;
  readonly store: SharedStore;
  readonly log: Log;
  readonly now: () => number;
}

/** What is remembered of a refresh token that was used. */
interface Used {
  /** Its pair. */
  readonly seed: PairSeed;
  /** When the pair was first given out; not there if whoever wrote this never came to it. */
  readonly answeredMs?: number;
}

/** A repetition within this time gets the same pair again: the answer was lost on the way (RFC 9700, section 4.14.2). */
const graceMs = 10_000;

/**
 * Exchanges refresh tokens for new pairs. Each is good once: who shows one again has copied it, or was copied from, so all tokens of the login
 * are revoked.
 */
export class RefreshService {
  /** Refresh tokens shown again after the time of grace. */
  reuses = 0;

  constructor(private readonly dependencies: RefreshServiceDependencies) {}

  /** @throws RefusalError `unauthorized`, `token_expired`, `token_revoked`, `conflict` if this service cannot sign, `unavailable` */
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
      // Not waited for: where it fails the token may be repeated for longer, but nobody is shut out whose answer was lost in a failure of Redis.
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

/** Tokens are taken for the leeway after their expiry; a used one is remembered for longer. */
const keptAfterMs = 3_600_000;

/** The refusal of a service that has public keys only. */
export function cannotSign(): RefusalError {
  return new RefusalError('conflict', 'this service only verifies tokens: it has no secret to sign with');
}
