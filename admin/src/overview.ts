/** The answer of `GET /admin/overview`. */
export interface OverviewAnswer {
  readonly at: number;
  readonly answered_by: string;
  readonly verdict: {
    readonly state: 'ok' | 'warning' | 'critical';
    readonly sentence: string;
    readonly findings: readonly Finding[];
  };
  readonly figures: {
    readonly connections: number;
    readonly connections_limit: number | null;
    readonly publishes_per_sec: number;
    readonly deliveries_per_sec: number;
    readonly refused_per_sec: number;
    readonly refused_by_code: Readonly<Record<string, number>>;
    readonly p50_ms: number;
    readonly p99_ms: number;
    readonly topics: number;
    readonly subscriptions: number;
    readonly slow_readers: number;
  };
  readonly history: { readonly step_secs: number; readonly samples: readonly Sample[] };
  readonly control: Control;
  readonly replicas: readonly Replica[];
  readonly silent_replicas: readonly string[];
  readonly outdated_replicas: readonly string[];
  readonly alerts: readonly Alert[];
  readonly topics: readonly BusyTopic[];
}

export interface Finding {
  readonly state: 'warning' | 'critical';
  readonly code: string;
  readonly sentence: string;
  readonly where: readonly string[];
  readonly since: number | null;
  readonly next: string;
}

export interface Sample {
  readonly slot: number;
  readonly connections: number;
  readonly deliveries_per_sec: number;
  readonly refused_per_sec: number;
  readonly p99_ms: number;
}

export interface Control {
  readonly mode: 'normal' | 'read_only' | 'maintenance';
  readonly accepts_connections: boolean;
  readonly presence: 'on' | 'shed';
  readonly rate_limits: { readonly connection_rps: number; readonly user_rps: number };
  readonly frozen: number;
  /** Missing in answers of older replicas. */
  readonly limited_users?: number;
  readonly frozen_topics: readonly string[];
  readonly switched: Readonly<
    Record<string, { readonly by: string; readonly at: number; readonly reason?: string }>
  >;
}

export interface Replica {
  readonly replica_id: string;
  readonly version: string;
  readonly phase: string;
  readonly uptime_secs: number;
  readonly problems: readonly string[];
  readonly connections: number;
  readonly connections_limit: number | null;
  readonly busy: number | null;
  readonly lag_ms: number;
  readonly heap_bytes: number;
  readonly heap_limit_bytes: number;
  readonly rss_bytes: number;
  readonly p99_ms: number;
  readonly deliveries_per_sec: number | null;
  readonly stopped_actors: number;
  readonly redis: 'up' | 'down' | 'none';
  readonly redis_memory: {
    readonly level: string;
    readonly used_bytes: number;
    readonly max_bytes: number;
  } | null;
}

export interface Alert {
  readonly id: string;
  readonly at: number;
  readonly severity: string;
  readonly kind: string;
  readonly message: string;
  readonly replica_id: string;
}

export interface BusyTopic {
  readonly topic: string;
  readonly subscribers: number;
  readonly behind: number;
  readonly messages_per_sec: number | null;
  readonly deliveries_per_sec: number | null;
  readonly frozen: boolean;
}
