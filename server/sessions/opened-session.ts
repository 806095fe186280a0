import { randomUUID } from 'node:crypto';
import type { Position } from '../../shared/position.js';
import type { Claim } from './session-claims.js';
import { leaseOf, type HeldLease } from './session-lease.js';
import { reachedIn, type StoredSession } from './session-store.js';
import type { ProvedPosition } from '../topics/start-position.js';

/** The session of a new connection. */
export interface OpenedSession {
  readonly id: string;
  readonly lease: HeldLease;
  /** Whether it resumes the requested session; undefined: none was requested. */
  readonly resumed: boolean | undefined;
  /** Another client is connected with the requested session: these are its topics. */
  readonly isCopy?: true;
  /** Its subscriptions, each with the position of the session. */
  readonly topics: ReadonlyMap<string, ProvedPosition>;
  /** The positions that the client gives. */
  readonly positions: ReadonlyMap<string, Position>;
  readonly createdAt: number;
  /** The position of the user's inbox when the client was last connected. */
  readonly inbox?: Position | undefined;
  /**
   * Set if the store does not answer: resolves when the session is known; to undefined if the connection has
   * left before. Meanwhile the client is connected without the topics of the session.
   */
  readonly later?: Promise<OpenedSession | undefined>;
}

interface Wish {
  readonly owner: string;
  readonly isRequested: boolean;
  readonly positions: ReadonlyMap<string, Position>;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** A session that is not stored yet. */
export function newSession({ owner, isRequested, positions, now }: Wish): OpenedSession {
  return {
    id: randomUUID(),
    lease: { generation: 1, owner },
    resumed: isRequested ? false : undefined,
    topics: new Map(),
    positions,
    createdAt: now,
  };
}

/**
 * The session of a connection after its claim. If another client is connected with it, the connection gets
 * its topics under an id of its own. It has not received what that client has confirmed: it is not resumed,
 * unless it gives a position for each of them.
 */
export function openedBy(claim: Claim, wish: Wish): OpenedSession {
  const fresh = newSession(wish);
  if (claim.outcome === 'none') return fresh;
  const { id, created_at: createdAt, inbox, ...lease } = claim.session;
  const resumed = { ...fresh, topics: topicsOf(claim.session), inbox };
  if (claim.outcome === 'in_use') return { ...resumed, isCopy: true };
  const { generation } = leaseOf(lease);
  return { ...resumed, id, lease: { generation, owner: wish.owner }, resumed: true, createdAt };
}

function topicsOf(session: StoredSession): Map<string, ProvedPosition> {
  return new Map(
    Object.entries(session.topics).map(([topic, position]) => {
      const reached = reachedIn(session, topic);
      return [topic, reached === undefined ? position : { ...position, reached }];
    }),
  );
}
