import type { ActorState, Supervisor } from '../../supervision/supervisor.js';
import type { ReplicaCalls } from '../../cluster/replica-calls.js';
import { actorIdOf, type ActorHealth } from '../../publish/topic-actor.js';
import type { Found } from '../replica-operations.js';

/** An actor, or a hook that has failed, as operators see it. */
export interface ActorInfo {
  /** `topic:<name>`, or `hook:<name>`. */
  readonly actor_id: string;
  readonly replica_id: string;
  readonly state: ActorState;
  readonly mailbox_size: number;
  /** Mean time of a batch, in milliseconds. */
  readonly processing_ms: number;
  readonly processed: number;
  readonly failed: number;
  /** Share of the publishes of the last minute that failed. */
  readonly error_rate: number;
  readonly restart_count: number;
  readonly last_error: string | null;
}

/** Which actors are meant; all that is given has to fit. */
export interface ActorQuery {
  readonly prefix?: string | undefined;
  readonly state?: ActorState | undefined;
  readonly limit: number;
}

/** What operators ask of every replica about its actors. */
export interface ActorOperationNames {
  actors: { readonly asked: ActorQuery; readonly answer: Found<ActorInfo> };
  /** `known`: the actor is there; `restarted`: it had failed, and runs again. */
  restart_actor: {
    readonly asked: { readonly id: string };
    readonly answer: { readonly known: boolean; readonly restarted: boolean };
  };
}

export interface ActorOperationsDependencies {
  readonly replicaId: string;
  readonly supervisor: Supervisor;
  readonly actors: () => ReadonlyMap<string, ActorHealth>;
}

/** Answers what operators ask about the actors of this replica, and restarts them by hand. */
export class ActorOperations {
  constructor(private readonly dependencies: ActorOperationsDependencies) {}

  /** Begins to answer. */
  serve(calls: ReplicaCalls): void {
    calls.handle('actors', (asked) => this.list(asked as ActorQuery));
    calls.handle('restart_actor', (asked) => this.restart((asked as { id: string }).id));
  }

  /** Those that do not run first, then those with the most waiting. */
  private list({ prefix = '', state, limit }: ActorQuery): Found<ActorInfo> {
    const found = [...this.all()].filter(
      (actor) => actor.actor_id.startsWith(prefix) && (state === undefined || actor.state === state),
    );
    const rank = ({ state: its }: ActorInfo) => (its === 'stopped' ? 0 : its === 'restarting' ? 1 : 2);
    found.sort(
      (a, b) => rank(a) - rank(b) || b.mailbox_size - a.mailbox_size || (a.actor_id < b.actor_id ? -1 : 1),
    );
    return { items: found.slice(0, limit), total: found.length };
  }

  private restart(id: string): { known: boolean; restarted: boolean } {
    const restarted = this.dependencies.supervisor.restart(id);
    const known = restarted || [...this.all()].some((actor) => actor.actor_id === id);
    return { known, restarted };
  }

  /** Actors with traffic, and what has failed without one. */
  private *all(): Iterable<ActorInfo> {
    const { replicaId, supervisor, actors } = this.dependencies;
    const listed = new Set<string>();
    for (const [topic, health] of actors()) {
      const id = actorIdOf(topic);
      listed.add(id);
      yield {
        actor_id: id,
        replica_id: replicaId,
        state: health.state,
        mailbox_size: health.mailboxSize,
        processing_ms: Number(health.processingMs.toFixed(3)),
        processed: health.processed,
        failed: health.failed,
        error_rate: Number(health.errorRate.toFixed(4)),
        restart_count: health.restartCount,
        last_error: health.lastError,
      };
    }
    for (const { id, state, restartCount, lastError, failures } of supervisor.children()) {
      if (listed.has(id)) continue;
      yield {
        actor_id: id,
        replica_id: replicaId,
        state,
        mailbox_size: 0,
        processing_ms: 0,
        processed: 0,
        failed: failures,
        error_rate: 0,
        restart_count: restartCount,
        last_error: lastError,
      };
    }
  }
}
