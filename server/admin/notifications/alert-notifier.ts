import type { Alert } from '../../supervision/alerts.js';
import { adminRoles } from '../admin-route.js';
import type { ClusterOperations } from '../cluster-operations.js';
import { notifyClients } from './notification-operations.js';

/** Sends each alert as a notification to the operators who are connected, on all replicas. */
export function alertNotifier(cluster: ClusterOperations): (alert: Alert) => void {
  return ({ severity, message, at }) => {
    const level = severity === 'critical' ? 'error' : severity;
    const notification = { level, message, timestamp: at, kind: 'alert' } as const;
    void cluster.ask(notifyClients, { notification, roles: adminRoles });
  };
}
