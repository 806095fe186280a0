import type { Talker, TalkerCounts, TalkerKind, Talkers } from '../../limits/talkers.js';
import { operation, type ClusterOperations } from '../cluster-operations.js';

interface TalkerQuery {
  readonly kind: TalkerKind;
  readonly by: keyof TalkerCounts;
  readonly limit: number;
  /** This one alone. Replicas of version 0.2.0 do not know the field: they answer with those that have the most. */
  readonly name?: string | undefined;
}

export const topTalkers = operation<TalkerQuery, readonly Talker[]>('talkers');

/** Registers the answers of this replica about who sends the most. */
export function serveTalkers(cluster: ClusterOperations, talkers: Pick<Talkers, 'top'>): void {
  cluster.answer(topTalkers, ({ kind, by, limit, name }) => talkers.top(kind, by, limit, name));
}
