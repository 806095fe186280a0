/** Metrics of one replica, as far as they are shown. */
export interface TopMetrics {
  readonly replica_id: string;
  readonly active_connections: number;
  readonly messages: {
    readonly published: number;
    readonly delivered: number;
    readonly refused: number;
    readonly gaps: number;
  };
  readonly outboxes: { readonly slow: number };
  readonly event_loop_lag_ms: { readonly recent_p99: number };
  readonly memory: { readonly rss_bytes: number };
}

/** What one look at the service has given. */
export interface TopSample {
  readonly at: number;
  readonly mode: string;
  readonly replicas: readonly TopMetrics[];
  readonly topics: readonly {
    readonly topic: string;
    readonly subscribers: number;
    readonly position: { readonly epoch: string; readonly sequence: number };
  }[];
  /** Those with the most commands first. */
  readonly users: readonly TopTalker[];
  /** Those with the most messages first, also without subscribers. */
  readonly busy: readonly TopTalker[];
}

/** Who sends, or where to, by the last one or two seconds. */
export interface TopTalker {
  readonly name: string;
  readonly commands_per_sec: number;
  readonly messages_per_sec: number;
  readonly bytes_per_sec: number;
  readonly refused_per_sec: number;
}

/** What is shown: rates between two looks. */
export interface TopView {
  readonly at: number;
  readonly mode: string;
  readonly connections: number;
  readonly published_per_sec: number;
  readonly delivered_per_sec: number;
  readonly refused_per_sec: number;
  readonly gaps_per_sec: number;
  readonly slow_readers: number;
  readonly replicas: readonly {
    readonly replica_id: string;
    readonly connections: number;
    readonly published_per_sec: number;
    readonly delivered_per_sec: number;
    readonly lag_ms: number;
    readonly rss_bytes: number;
  }[];
  /** Those with the most messages first. */
  readonly topics: readonly {
    readonly topic: string;
    readonly per_sec: number;
    readonly subscribers: number;
  }[];
  /** Those who send the most commands first. */
  readonly users: readonly TopTalker[];
}

const shown = 10;

/** Compares two looks. */
export function topView(before: TopSample, now: TopSample): TopView {
  const seconds = Math.max(0.001, (now.at - before.at) / 1000);
  const rate = (from: number | undefined, to: number) =>
    Math.max(0, Math.round((to - (from ?? to)) / seconds));
  const earlier = new Map(before.replicas.map((one) => [one.replica_id, one]));
  const perSec = (read: (one: TopMetrics) => number) =>
    now.replicas.reduce((sum, one) => {
      const from = earlier.get(one.replica_id);
      return sum + rate(from && read(from), read(one));
    }, 0);
  const positions = new Map(before.topics.map(({ topic, position }) => [topic, position]));
  const known = new Set(now.topics.map(({ topic }) => topic));
  // Nobody subscribes to these, so no replica knows their position.
  const unread = now.busy
    .filter(({ name }) => !known.has(name))
    .map(({ name, messages_per_sec: perSec }) => ({
      topic: name,
      per_sec: Math.round(perSec),
      subscribers: 0,
    }));
  return {
    at: now.at,
    mode: now.mode,
    connections: now.replicas.reduce((sum, one) => sum + one.active_connections, 0),
    published_per_sec: perSec(({ messages }) => messages.published),
    delivered_per_sec: perSec(({ messages }) => messages.delivered),
    refused_per_sec: perSec(({ messages }) => messages.refused),
    gaps_per_sec: perSec(({ messages }) => messages.gaps),
    slow_readers: now.replicas.reduce((sum, { outboxes }) => sum + outboxes.slow, 0),
    replicas: now.replicas.map((one) => {
      const from = earlier.get(one.replica_id)?.messages;
      return {
        replica_id: one.replica_id,
        connections: one.active_connections,
        published_per_sec: rate(from?.published, one.messages.published),
        delivered_per_sec: rate(from?.delivered, one.messages.delivered),
        lag_ms: Math.round(one.event_loop_lag_ms.recent_p99),
        rss_bytes: one.memory.rss_bytes,
      };
    }),
    topics: now.topics
      .map(({ topic, subscribers, position }) => {
        const from = positions.get(topic);
        const isSame = from?.epoch === position.epoch;
        return { topic, per_sec: rate(isSame ? from.sequence : undefined, position.sequence), subscribers };
      })
      .concat(unread)
      .sort((a, b) => b.per_sec - a.per_sec || b.subscribers - a.subscribers)
      .slice(0, shown),
    users: now.users.slice(0, shown),
  };
}
