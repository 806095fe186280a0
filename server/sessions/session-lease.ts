/**
 * Who may write a session. This is the model of a session; the stores apply it in one atomic step
 * (`storage/redis/lua/save-session.lua`, `claim-session.lua`).
 *
 * A session is `stored`, or not. A stored one is `held` by the connection that claimed it, or `released`.
 *
 * | event | what it does |
 * |---|---|
 * | a client attaches with its id | asks the holder, if there is one (next row); then claims: the generation grows by one, the new connection holds it |
 * | the holder is asked | it writes what it has not written yet. If its client answers a ping in time, it stays the holder, and the new connection gets a copy under an id of its own, `recovered: false`. Else it yields, and writes nothing any more |
 * | subscribe, unsubscribe | changes the topics, at the next write |
 * | a confirmed position | a position that the client names, or the answer to a ping that was sent after the message. What was only handed to the transport does not count |
 * | a cut before the topics are restored | nothing: they are topics of the session until they are subscribed or dropped |
 * | a close, with any code | the holder writes once more and releases the session. It confirms nothing |
 * | a write of one that does not hold it any more | is refused: by a greater generation, or by another holder of the same one |
 * | a holder that yielded shows a sign of life | two clients know one id: it is retired, and each of them gets an id of its own, with its own topics, and is notified |
 * | subscribe and unsubscribe are answered | the store has the topics before: a new one at an unknown position, until that is written. If the store does not take them within a moment, the answer does not wait |
 * | the store has no room for other topics than it has | its holder removes the stored state: `recovered: false` is better than a state without a topic |
 * | the holder is asked and cannot write | it gives its state to the new connection |
 * | the holder cannot be asked, or knows the session no more | its client may have received anything in the epoch of its positions: a topic in a later epoch is not recovered |
 * | time | the holder writes at least three times within the time to live, so a session lasts as long as its connection and that time |
 * | the store cannot be read while a client attaches | the client is connected without the topics; they follow when the session can be claimed |
 * | its client subscribes or unsubscribes before that | the connection goes on under an id of its own. It is written when the topics have followed; then the former state is removed |
 * | the store has lost the session | its holder writes it again |
 * | an operator deletes it | the same |
 *
 * Nothing here depends on a clock: neither on that of a replica, nor on those of two replicas being alike.
 */
export interface SessionLease {
  /** How often the session has been claimed. Grows with each new connection. */
  readonly generation: number;
  /** The connection that holds the session; null: released. See {@link ownerName}. */
  readonly owner: string | null;
}

/** The lease of a connection. */
export type HeldLease = SessionLease & { readonly owner: string };

/** A session that nobody has claimed: as written by version 0.1, by a restore or by hand. */
export const unclaimed: SessionLease = Object.freeze({ generation: 0, owner: null });

/** The generation of a retired session: no claim exceeds it. */
export const retiredGeneration = Number.MAX_SAFE_INTEGER;

/** A lease as sessions have it; without a generation, nobody has claimed them yet. */
interface StoredLease {
  readonly generation?: number | undefined;
  readonly owner?: string | null | undefined;
}

/** The lease of a session. */
export function leaseOf({ generation, owner }: StoredLease): SessionLease {
  return generation === undefined ? unclaimed : { generation, owner: owner ?? null };
}

export function isSameLease(one: SessionLease, other: SessionLease): boolean {
  return one.generation === other.generation && one.owner === other.owner;
}

/**
 * Whether a connection with the lease `by` may write a session whose stored lease is this one; undefined: it
 * is not stored. A smaller generation is what a Redis had that lost its last writes.
 */
export function mayWrite(stored: SessionLease | undefined, by: SessionLease): boolean {
  return stored === undefined || stored.generation < by.generation || isSameLease(stored, by);
}

/** The lease of the next holder. */
export function nextLease({ generation }: SessionLease, owner: string): SessionLease {
  return { generation: generation + 1, owner };
}

/**
 * Names the holder of a session. It has no character that JSON escapes: the scripts compare it as text.
 *
 * @param claim unique for each connection
 */
export function ownerName(claim: string, replicaId: string): string {
  // `join` makes one flat string. Node composes a UUID of single bytes, and V8 keeps what was added up as a tree of twenty strings.
  return [claim, encodeURIComponent(replicaId)].join('@');
}

/** The replica of a holder; undefined if this is not a name of one. */
export function replicaOf(owner: string): string | undefined {
  const at = owner.indexOf('@');
  if (at < 0) return undefined;
  try {
    return decodeURIComponent(owner.slice(at + 1));
  } catch {
    return undefined;
  }
}
