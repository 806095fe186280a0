import { reachedUnknown } from '../topics/start-position.js';
import type { HolderAnswer } from './holder-answer.js';
import { leaseOf, nextLease } from './session-lease.js';
import { reachedIn, type SessionStore, type StoredSession } from './session-store.js';

/** What became of the wish to resume a session. */
export type Claim =
  /** There is no such session of this user. */
  | { readonly outcome: 'none' }
  /** It is held by the new connection now. */
  | { readonly outcome: 'resumed'; readonly session: StoredSession }
  /** Another client is connected with it: this is how far that one is. */
  | { readonly outcome: 'in_use'; readonly session: StoredSession };

interface SessionClaimsDependencies {
  readonly store: Pick<SessionStore, 'get' | 'claim' | 'save' | 'forget'>;
  /**
   * Asks the holder of a session to yield it. True if its client is connected, and the holder keeps it. What
   * it has not written yet is written before the answer, or is in it. Null if it cannot be asked.
   */
  readonly keepsSession: (owner: string, sessionId: string) => Promise<HolderAnswer>;
}

/** Other connections may claim the same session at the same time; after this many, the client gets a copy. */
const attemptsMax = 4;

/** Claims stored sessions for new connections, see {@link import('./session-lease.js').SessionLease}. */
export class SessionClaims {
  constructor(private readonly dependencies: SessionClaimsDependencies) {}

  /**
   * Claims a session of this user for `owner`. May be repeated after an error.
   *
   * @throws RefusalError `unavailable` if the store does not answer
   */
  async claim(id: string, userId: string, owner: string): Promise<Claim> {
    const { store, keepsSession } = this.dependencies;
    let session: StoredSession | undefined;
    for (let n = 0; n < attemptsMax; n++) {
      const found = await store.get(id);
      if (found?.user_id !== userId) return { outcome: 'none' };
      session = found;
      const lease = leaseOf(found);
      // The response to an earlier attempt was lost.
      if (lease.owner === owner) return { outcome: 'resumed', session: found };
      const answer = lease.owner !== null && (await keepsSession(lease.owner, id));
      if (answer === true) return { outcome: 'in_use', session: (await store.get(id)) ?? found };
      const claimed = await store.claim(found, nextLease(lease, owner));
      if (claimed === undefined) continue;
      if (answer === false) return { outcome: 'resumed', session: claimed };
      if (answer === null) return { outcome: 'resumed', session: withUnknownEnds(claimed) };
      const { topics, reached, inbox = claimed.inbox } = answer.unwritten;
      const whole = { ...claimed, topics, reached, inbox };
      // At once, if the store takes it now. If not, the new connection writes it as soon as that works, and until then
      // nobody resumes an earlier state.
      const held = nextLease(lease, owner);
      await store.save(whole, held).catch(() => store.forget(id, held).catch(() => {}));
      return { outcome: 'resumed', session: whole };
    }
    return session === undefined ? { outcome: 'none' } : { outcome: 'in_use', session };
  }
}

/** The session, whose client may have received more than the store knows. */
function withUnknownEnds(session: StoredSession): StoredSession {
  const reached = Object.entries(session.topics).map(
    ([topic, position]) => [topic, reachedUnknown(reachedIn(session, topic) ?? position)] as const,
  );
  return { ...session, reached: Object.fromEntries(reached) };
}
