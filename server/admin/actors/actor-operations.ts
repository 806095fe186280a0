import type { ActorState, Supervisor } from '../../supervision/supervisor.js';
import { actorIdOf, type ActorHealth } from '../../publish/topic-actor.js';
import type { HookWorkerHealth } from '../../hooks/pool/hook-slot.js';
import { operation, type ClusterOperations, type Found } from '../cluster-operations.js';
import { compareText, listPage, type ListRequest } from '../list-page.js';

/** An actor, or a hook that has failed, as operators see it. */
interface ActorInfo {
  /** `topic:<name>`, `hook:<name>`, or `worker:hooks/<number>`. */
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

/** Selects actors; each given field has to match. */
interface ActorQuery extends ListRequest {
  readonly prefix?: string | undefined;
  readonly state?: ActorState | undefined;
}

/** Failed actors first, then those with the longest mailboxes. The same actor can be on several replicas. */
export const actorOrder = {
  keyOf: ({ actor_id: id, replica_id: replica }: ActorInfo) => `${id}\n${replica}`,
  rank: (one: ActorInfo, other: ActorInfo) =>
    stateRank(one) - stateRank(other) ||
    other.mailbox_size - one.mailbox_size ||
    compareText(one.actor_id, other.actor_id),
};

function stateRank({ state }: ActorInfo): number {
  return state === 'stopped' ? 0 : state === 'restarting' ? 1 : 2;
}

export const listActors = operation<ActorQuery, Found<ActorInfo>>('actors');

/** `known`: the actor exists; `restarted`: it had failed, and runs again. */
export const restartActor = operation<
  { readonly id: string },
  { readonly known: boolean; readonly restarted: boolean }
>('restart_actor');

interface ActorOperationsDependencies {
  readonly replicaId: string;
  readonly supervisor: Supervisor;
  readonly actors: () => ReadonlyMap<string, ActorHealth>;
  /** Worker threads for the module with hooks. */
  readonly hookWorkers: () => readonly HookWorkerHealth[];
}

/** Answers of this replica about its actors; restarts them on request. */
export class ActorOperations {
  constructor(private readonly dependencies: ActorOperationsDependencies) {}

  /** Registers the answers of this replica. */
  serve(cluster: ClusterOperations): void {
    cluster.answer(listActors, (query) => this.list(query));
    cluster.answer(restartActor, ({ id }) => this.restart(id));
  }

  private list({ prefix = '', state, ...request }: ActorQuery): Found<ActorInfo> {
    return listPage(this.matching(prefix, state), request, actorOrder, (actor) => actor);
  }

  private *matching(prefix: string, state: ActorState | undefined): Iterable<ActorInfo> {
    for (const actor of this.all())
      if (actor.actor_id.startsWith(prefix) && (state === undefined || actor.state === state)) yield actor;
  }

  private restart(id: string): { known: boolean; restarted: boolean } {
    const restarted = this.dependencies.supervisor.restart(id);
    return { known: restarted || this.isKnown(id), restarted };
  }

  private isKnown(id: string): boolean {
    for (const actor of this.all()) if (actor.actor_id === id) return true;
    return false;
  }

  /** Topic actors with traffic; then the workers for hooks; then failed hooks and actors that the supervisor alone lists. */
  private *all(): Iterable<ActorInfo> {
    const { replicaId, supervisor, actors, hookWorkers } = this.dependencies;
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
    for (const [index, health] of hookWorkers().entries()) {
      yield {
        actor_id: `worker:hooks/${index + 1}`,
        replica_id: replicaId,
        state: health.state,
        // What waits, waits for all of them: `rtc_hook_calls_waiting`.
        mailbox_size: health.isBusy ? 1 : 0,
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
