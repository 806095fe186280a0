import type { InboxSize, InboxSizes } from '../../direct/inbox-sizes.js';
import { operation, type ClusterOperations } from '../cluster-operations.js';

/** The fullest inboxes to which a replica has added messages. */
export const fullestInboxes = operation<{ readonly limit: number }, readonly InboxSize[]>('fullest_inboxes');

/** Registers the answers of this replica about inboxes. */
export function serveInboxes(cluster: ClusterOperations, sizes: Pick<InboxSizes, 'fullest'>): void {
  cluster.answer(fullestInboxes, ({ limit }) => sizes.fullest(limit));
}
