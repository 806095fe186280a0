import type { ReplicaAnswer, ReplicaCalls } from '../cluster/replica-calls.js';
import type { ActorOperationNames } from './actors/actor-operations.js';
import type { OperationNames } from './replica-operations.js';
import type { TraceOperationNames } from './traces/trace-operations.js';

/** Everything that can be asked of the replicas. */
export type AllOperationNames = OperationNames & ActorOperationNames & TraceOperationNames;

/** What the replicas said, and which of them said nothing. */
export interface Gathered<Answer> {
  readonly answers: readonly { readonly replica: string; readonly answer: Answer }[];
  readonly unresponsive: readonly string[];
}

/** Asks all replicas the same and gathers their answers. */
export class ClusterOperations {
  constructor(private readonly calls: ReplicaCalls) {}

  async ask<Name extends keyof AllOperationNames>(
    name: Name,
    asked: AllOperationNames[Name]['asked'],
  ): Promise<Gathered<AllOperationNames[Name]['answer']>> {
    return gathered(await this.calls.askAll<AllOperationNames[Name]['answer']>(name, asked));
  }
}

/** Parts those who answered from those who did not. */
export function gathered<Answer>(all: readonly ReplicaAnswer<Answer>[]): Gathered<Answer> {
  const answers: { replica: string; answer: Answer }[] = [];
  const unresponsive: string[] = [];
  for (const { replica, result, error } of all) {
    if (error === undefined) answers.push({ replica, answer: result as Answer });
    else unresponsive.push(replica);
  }
  return { answers, unresponsive };
}
