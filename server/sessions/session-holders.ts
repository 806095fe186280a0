import { withTimeout } from '../primitives/with-timeout.js';
import type { Connection } from '../protocol/connection.js';
import type { HolderAnswer } from './holder-answer.js';
import type { LiveSession } from './live-session.js';
import { replicaOf } from './session-lease.js';
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
  readonly writes: Pick<SessionWrites, 'write' | 'stateOf' | 'yieldLeft'>;
}

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

  /** See `SessionClaims`. Never rejects: of a holder that cannot be asked, nothing is known. */
  readonly keepsSession = async (owner: string, session: string): Promise<HolderAnswer> => {
    const { replicaId, calls } = this.dependencies;
    const replica = replicaOf(owner);
    if (replica === undefined) return null;
    try {
      if (replica === replicaId) return await withTimeout(this.ownKeeps(owner, session), answerLimitMs);
      if (!(await calls.replicas()).includes(replica)) return null;
      const question: Question = { owner, session };
      const answer = await withTimeout(calls.ask<HolderAnswer>(replica, callName, question), answerLimitMs);
      return answer.result ?? null;
    } catch {
      return null;
    }
  };

  private ownKeeps(owner: string, session: string): Promise<HolderAnswer> {
    const live = this.holders.get(owner);
    // That it has left is known here, but not to the store: that has lost its last writes.
    if (live?.id !== session) return this.dependencies.writes.yieldLeft(session);
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
