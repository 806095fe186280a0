import type { RecentRefusals, Refusal } from '../../tracing/recent-refusals.js';
import { operation, type ClusterOperations } from '../cluster-operations.js';

/** The last refused commands of a user on a replica. */
export const refusalsOfUser = operation<{ readonly userId: string }, readonly Refusal[]>('refusals');

/** Registers the answers of this replica about refused commands. */
export function serveRefusals(cluster: ClusterOperations, refusals: Pick<RecentRefusals, 'of'>): void {
  cluster.answer(refusalsOfUser, ({ userId }) => refusals.of(userId));
}
