import { replicaName } from '../cluster/replica-identity.js';
import type { ReplicaAnswer, ReplicaCalls } from '../cluster/replica-calls.js';

/**
 * An operation that every replica answers: its name on the bus, with the types of the request and the answer.
 * Both sides use the same value, so that they agree. Replicas of different versions run together: names stay,
 * and fields are only added.
 */
export interface Operation<Asked, Answer> {
  readonly name: string;
  /** Never set; for the types only. */
  readonly types?: (asked: Asked) => Answer;
}

/** Defines an operation. */
export function operation<Asked, Answer>(name: string): Operation<Asked, Answer> {
  return { name };
}

/** The answers of the replicas, and which replicas did not answer. */
interface Gathered<Answer> {
  readonly answers: readonly { readonly replica: string; readonly answer: Answer }[];
  readonly unresponsive: readonly string[];
  /** Those of the unresponsive ones that have answered, but do not know the operation: they run an older version. */
  readonly outdated: readonly string[];
}

/** The items an answer holds, of possibly more. */
export interface Found<Item> {
  readonly items: readonly Item[];
  /** Number of all items, also those past the limit. */
  readonly total: number;
  /** Whether there are further items. Replicas of version 0.1 do not send it. */
  readonly more?: boolean;
}

/** Calls an operation on all replicas, and registers the answers of this one. */
export class ClusterOperations {
  constructor(private readonly calls: ReplicaCalls) {}

  /** Calls every live replica, this one included. Never rejects. */
  async ask<Asked, Answer>(
    { name }: Operation<Asked, Answer>,
    asked: NoInfer<Asked>,
  ): Promise<Gathered<Answer>> {
    return gathered(await this.calls.askAll<Answer>(name, asked));
  }

  /**
   * Calls an operation on the replica with a name, or an id. Never rejects. No answer: there is none. There are several while the lease of
   * one that has crashed goes on.
   */
  async askReplica<Asked, Answer>(
    { name }: Operation<Asked, Answer>,
    replica: string,
    asked: NoInfer<Asked>,
  ): Promise<readonly ReplicaAnswer<Answer>[]> {
    return this.calls.askSome<Answer>((id) => id === replica || replicaName(id) === replica, name, asked);
  }

  /** Sets what this replica answers. */
  answer<Asked, Answer>(
    { name }: Operation<Asked, Answer>,
    run: (asked: NoInfer<Asked>) => NoInfer<Answer>,
  ): void {
    this.calls.handle(name, (asked) => run(asked as Asked));
  }
}

function gathered<Answer>(all: readonly ReplicaAnswer<Answer>[]): Gathered<Answer> {
  const answers: { replica: string; answer: Answer }[] = [];
  const unresponsive: string[] = [];
  const outdated: string[] = [];
  for (const { replica: id, result, error } of all) {
    const replica = replicaName(id);
    if (error === undefined) answers.push({ replica, answer: result as Answer });
    else unresponsive.push(replica);
    if (error?.code === 'not_found') outdated.push(replica);
  }
  return { answers, unresponsive, outdated };
}
