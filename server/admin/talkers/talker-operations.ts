import type { Talker, TalkerCounts, TalkerKind, Talkers } from '../../limits/talkers.js';
import { operation, type ClusterOperations } from '../cluster-operations.js';

interface TalkerQuery {
  readonly kind: TalkerKind;
  readonly by: keyof TalkerCounts;
  readonly limit: number;
}

export const topTalkers = operation<TalkerQuery, readonly Talker[]>('talkers');

/** Registers the answers of this replica about who sends the most. */
export function serveTalkers(cluster: ClusterOperations, talkers: Pick<Talkers, 'top'>): void {
  cluster.answer(topTalkers, ({ kind, by, limit }) => talkers.top(kind, by, limit));
}
