import type { MetricsDocument } from '../../metrics/metrics-document.js';
import { operation } from '../cluster-operations.js';

/** The metrics of a replica, as its `/metrics` shows them. */
export const replicaMetrics = operation<null, MetricsDocument>('metrics');
