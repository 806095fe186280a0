import { withTimeout } from '../primitives/with-timeout.js';
import type { Connection } from '../protocol/connection.js';
import type { LiveSession } from './live-session.js';
import { replicaOf } from './session-lease.js';
import type { StoredSession } from './session-store.js';
import type { SessionWrites } from './session-writes.js';

/** Calls to other replicas; see `cluster/replica-calls.ts`. */
export interface HolderCalls {
  handle(name: string, handler: (data: unknown) => unknown): void;
  ask<Result>(replica: string, name: string, data: unknown): Promise<{ readonly result?: Result }>;
  /** The live replicas. */
  replicas(): Promise<string[]>;
}

interface SessionHoldersDependencies {
  readonly replicaId: string;
  readonly calls: HolderCalls;
  readonly isAlive: (connection: Connection) => Promise<boolean>;
  readonly writes: Pick<SessionWrites, 'write' | 'stateOf' | 'restoreLeft'>;
}

/**
 * What a holder says of its session: true: it keeps it; false: it yields, and the store has all of it. Otherwise it yields
 * too, and the store has an earlier state, because it does not take writes. Releases before this one take that for false.
 */
export type HolderAnswer = boolean | { readonly unwritten: StoredSession };

interface Question {
  readonly owner: string;
  readonly session: string;
}

const callName = 'session-held';
/** A replica that does not answer within this time, in milliseconds, is taken for dead. */
const answerLimitMs = 2000;

/**
 * The connections that hold sessions. When a client attaches with the id of a session that is held, the
 * holder is asked: the client may have come back before its former connection was found dead, or there may be
 * two of them (a duplicated tab).
 */
export class SessionHolders {
  private readonly holders = new Map<string, LiveSession>();
  /** Answers that are not known yet, by holder. */
  private readonly asked = new Map<LiveSession, Promise<HolderAnswer>>();

  constructor(private readonly dependencies: SessionHoldersDependencies) {
    dependencies.calls.handle(callName, (data) => {
      const { owner, session } = data as Question;
      return this.ownKeeps(owner, session);
    });
  }

  add(live: LiveSession): void {
    this.holders.set(live.lease.owner, live);
  }

  /** A connection that has left holds its session until that is released. */
  delete(live: LiveSession): void {
    this.holders.delete(live.lease.owner);
  }

  of(owner: string): LiveSession | undefined {
    return this.holders.get(owner);
  }

  /** See `SessionClaims`. Never rejects: a holder that cannot be asked does not keep the session. */
  readonly keepsSession = async (owner: string, session: string): Promise<HolderAnswer> => {
    const { replicaId, calls } = this.dependencies;
    const replica = replicaOf(owner);
    if (replica === undefined) return false;
    try {
      if (replica === replicaId) return await withTimeout(this.ownKeeps(owner, session), answerLimitMs);
      if (!(await calls.replicas()).includes(replica)) return false;
      const question: Question = { owner, session };
      const answer = await withTimeout(calls.ask<HolderAnswer>(replica, callName, question), answerLimitMs);
      return answer.result ?? false;
    } catch {
      return false;
    }
  };

  private ownKeeps(owner: string, session: string): Promise<HolderAnswer> {
    const live = this.holders.get(owner);
    // That it has left is known here, but not to the store: that has lost its last writes.
    if (live?.id !== session) return this.dependencies.writes.restoreLeft(session).then(() => false);
    let answer = this.asked.get(live);
    if (answer === undefined) {
      answer = this.decide(live).finally(() => this.asked.delete(live));
      this.asked.set(live, answer);
    }
    return answer;
  }

  private async decide(live: LiveSession): Promise<HolderAnswer> {
    if (live.answersSinceLost !== undefined) return false;
    const isAlive = !live.isLeft && (await this.dependencies.isAlive(live.connection));
    const { writes } = this.dependencies;
    // What the new connection reads is complete, or it gets what is missing. Then the claim ends this lease.
    const isWritten = await writes.write(live);
    if (isAlive && !live.isLeft) return true;
    if (!isWritten) return { unwritten: writes.stateOf(live) };
    live.answersSinceLost ??= 0;
    return false;
  }
}
