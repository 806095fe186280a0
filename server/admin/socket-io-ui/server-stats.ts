import type { MetricsDocument } from '../../metrics/metrics-document.js';
import { shownNamespace } from './listed-socket.js';

/** Figures of a replica, as the UI shows a server. */
interface ServerStats {
  readonly serverId: string;
  readonly hostname: string;
  readonly uptime: number;
  readonly clientsCount: number;
  readonly pollingClientsCount: number;
  /** Since the figures before; for the charts. */
  readonly aggregatedEvents: readonly AggregatedEvent[];
  readonly namespaces: readonly { readonly name: string; readonly socketsCount: number }[];
}

interface AggregatedEvent {
  readonly timestamp: number;
  readonly type: 'rawConnection' | 'rawDisconnection' | 'packetsIn' | 'packetsOut';
  readonly count: number;
}

type Counters = Readonly<Record<AggregatedEvent['type'], number>>;

/** Makes the figures of the UI from metrics, which the service counts anyway. */
export class ServerStatistics {
  private readonly before = new Map<string, Counters>();

  /** @param pollingClients of the sockets that are listed */
  of(metrics: MetricsDocument, pollingClients: number, now: number): ServerStats {
    const { replica_id: id, connections, messages } = metrics;
    const counters: Counters = {
      rawConnection: connections.connects,
      rawDisconnection: connections.disconnects,
      packetsIn: messages.published,
      packetsOut: messages.delivered,
    };
    const before = this.before.get(id);
    this.before.set(id, counters);
    return {
      serverId: id,
      hostname: id,
      uptime: metrics.uptime_secs,
      clientsCount: connections.total,
      pollingClientsCount: pollingClients,
      aggregatedEvents: before === undefined ? [] : eventsBetween(before, counters, now),
      namespaces: [{ name: shownNamespace, socketsCount: connections.total }],
    };
  }
}

function eventsBetween(before: Counters, after: Counters, now: number): AggregatedEvent[] {
  const timestamp = now - (now % 1000);
  return (Object.keys(after) as (keyof Counters)[])
    .map((type) => {
      const difference = after[type] - before[type];
      // Smaller than before: the replica has been restarted.
      return { timestamp, type, count: difference < 0 ? after[type] : difference };
    })
    .filter(({ count }) => count > 0);
}
