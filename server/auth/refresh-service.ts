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

/** The record of the latest used refresh token of a family: all earlier ones have been used, too. */
interface LatestUsed extends Used {
  readonly tokenId: string;
  readonly generation: number;
  /** By then every token of the family up to this one has expired; milliseconds since 1970. */
  readonly until: number;
}

/**
 * A repetition within this time returns the same pair again, because the first response may have been lost
 * (RFC 9700, section 4.14.2).
 */
const graceMs = 10_000;

/**
 * The record of a single token is kept for so long, for repetitions and for requests at the same time; after that, the record of its family says
 * that it was used. So a login takes one lasting record, however often its tokens are exchanged.
 */
const recordMs = 60_000;

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
    const { issuer, verifier, now } = this.dependencies;
    if (issuer === undefined) throw cannotSign();
    const identity = verifier.verifyRefresh(token);
    const { generation } = identity;
    const used =
      generation === undefined
        ? await this.useUncounted(identity, issuer)
        : await this.use({ ...identity, generation }, issuer);
    if (used === undefined || (used.answeredMs !== undefined && now() - used.answeredMs > graceMs))
      return this.reused(identity);
    return issuer.pair(identity, used.seed);
  }

  /** The first use of a token. Undefined: a later token of the family was used, and this one is not remembered any more. */
  private async use(identity: CountedIdentity, issuer: TokenIssuer): Promise<Used | undefined> {
    const { store, now } = this.dependencies;
    const { tokenId, familyId, generation } = identity;
    const [key, familyKey] = [keyOf(identity), familyKeyOf(identity)];
    const latestText = await store.get(familyKey);
    const latest = parseRecord<LatestUsed>(latestText);
    // Nothing is stored of it: if its login cannot be revoked now, a repetition must not look like that of a first use.
    if (latest !== undefined && latest.generation >= generation && latest.tokenId !== tokenId)
      return parseRecord<Used>(await store.get(key));
    const own: Used = { seed: issuer.newSeed(familyId, generation + 1) };
    const isFirst = await store.setIfAbsent(key, JSON.stringify(own), recordMs);
    const recorded = isFirst ? undefined : parseRecord<Used>(await store.get(key));
    const isLatest = latest?.tokenId === tokenId;
    const used: Used = isLatest ? latest : (recorded ?? own);
    if (used.answeredMs !== undefined) return used;
    // A lifetime of tokens that was made shorter must not let the record expire before an earlier token.
    const until = Math.max(latest?.until ?? 0, identity.expiresAt * 1000 + keptAfterMs);
    const record = { tokenId, generation, until, seed: used.seed } satisfies LatestUsed;
    const keepMs = Math.max(recordMs, until - now());
    const text = JSON.stringify(record);
    // Without it the token could be used again later. Another replica may have exchanged a later token since it was read: that one counts.
    if (!isLatest && !(await this.replace(familyKey, latestText, text, keepMs)))
      return this.use(identity, issuer);
    const answered = { answeredMs: now() };
    afterwards(store.set(key, JSON.stringify({ ...used, ...answered }), recordMs));
    const before = isLatest ? latestText! : text;
    afterwards(store.replace(familyKey, before, JSON.stringify({ ...record, ...answered }), keepMs));
    return used;
  }

  /** Sets a value if nobody has set another one since `before` was read. */
  private replace(key: string, before: string | undefined, value: string, keepMs: number): Promise<boolean> {
    const { store } = this.dependencies;
    return before === undefined
      ? store.setIfAbsent(key, value, keepMs)
      : store.replace(key, before, value, keepMs);
  }

  /** The same for a token of an earlier version: it is remembered until it has expired. */
  private async useUncounted(identity: RefreshIdentity, issuer: TokenIssuer): Promise<Used> {
    const { store, now } = this.dependencies;
    const key = keyOf(identity);
    // A replica of an earlier version may have exchanged a counted token for it: then counting goes on behind that one.
    const latest = parseRecord<LatestUsed>(await store.get(familyKeyOf(identity)));
    const generation = (latest?.generation ?? -1) + 1;
    const own: Used = { seed: issuer.newSeed(identity.familyId, generation) };
    const keepMs = Math.max(1, identity.expiresAt * 1000 - now()) + keptAfterMs;
    const isFirst = await store.setIfAbsent(key, JSON.stringify(own), keepMs);
    const used = (isFirst ? undefined : parseRecord<Used>(await store.get(key))) ?? own;
    if (used.answeredMs === undefined)
      afterwards(store.set(key, JSON.stringify({ ...used, answeredMs: now() }), keepMs));
    return used;
  }

  private async reused({ userId, familyId }: RefreshIdentity): Promise<never> {
    this.reuses++;
    this.dependencies.log.warn('Refresh token was used twice', { user_id: userId, family_id: familyId });
    await this.dependencies.revocations.revokeFamily(familyId, 'a refresh token was used twice');
    throw new RefusalError('token_revoked', 'the refresh token was used before: log in again');
  }
}

type CountedIdentity = RefreshIdentity & { readonly generation: number };

function keyOf({ tokenId }: RefreshIdentity): string {
  return `refresh:${tokenId}`;
}

function familyKeyOf({ familyId }: RefreshIdentity): string {
  return `refresh-family:${familyId}`;
}

function parseRecord<Record extends Used>(text: string | undefined): Record | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as Record);
}

/**
 * Not awaited: if the write of an answer fails, the token can be repeated for longer, but a user whose response was
 * lost in a failure of Redis stays logged in.
 */
function afterwards(written: Promise<unknown>): void {
  written.catch(() => {});
}

/** Tokens are accepted until the leeway after their expiry; the record of a used one is kept for longer. */
const keptAfterMs = 3_600_000;

/** The refusal of a service that has only public keys. */
export function cannotSign(): RefusalError {
  return new RefusalError('conflict', 'this service only verifies tokens: it has no secret to sign with');
}
