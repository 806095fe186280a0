import type { ErrorCode } from '../../shared/errors.js';

/** Durations of the last one to two minutes, in milliseconds; `count` is the number since the start. */
export interface LatencySummary {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly count: number;
}

/**
 * The JSON answer of `/metrics`: the metrics of one replica, counted since its start. `docs/telemetry.md`
 * explains every field.
 */
export interface MetricsDocument {
  readonly replica_id: string;
  readonly uptime_secs: number;
  readonly phase: 'starting' | 'running' | 'draining';
  /** What the drain has done with the clients; `step`: `none`, `waiting` for load balancers, `moving` clients, `done`. */
  readonly drain: {
    readonly step: 'none' | 'waiting' | 'moving' | 'done';
    readonly moved: number;
    readonly forced: number;
    readonly remaining: number;
  };
  readonly active_connections: number;
  readonly connections: {
    readonly total: number;
    readonly socketio: number;
    readonly json: number;
    readonly connects: number;
    readonly disconnects: number;
  };
  readonly messages: {
    readonly published: number;
    readonly duplicates: number;
    readonly delivered: number;
    readonly direct: number;
    readonly refused: number;
    readonly gaps: number;
  };
  readonly refused: Readonly<Partial<Record<ErrorCode, number>>>;
  readonly rate_limit_stats: {
    readonly limited: number;
    readonly connection: number;
    readonly user: number;
    readonly address: number;
    readonly user_connections: number;
    readonly http: number;
    readonly bodies: number;
    readonly tcp: number;
    readonly abuse_disconnects: number;
    readonly local_fallbacks: number;
    readonly refills: number;
  };
  /** Refusals by the quotas of users, since the start. */
  readonly quota_refusals: {
    readonly connection_bytes: number;
    readonly user_bytes: number;
    readonly stored_bytes: number;
    readonly new_topics: number;
    readonly inbox_share: number;
    readonly inbox_full: number;
    readonly memory_share: number;
    readonly memory_reserved: number;
    /** Sessions that were dropped. */
    readonly user_sessions: number;
    readonly session_memory: number;
  };
  /** Messages removed early because `topics.memory_bytes` was reached; without Redis. */
  readonly history_removed: number;
  /** `revocations`: records in force; `refresh_reuses`: refresh tokens that were used again. */
  readonly tokens: { readonly revocations: number; readonly refresh_reuses: number };
  readonly latency_ms: { readonly publish: LatencySummary; readonly delivery: LatencySummary };
  readonly topics: { readonly carried: number; readonly subscriptions: number; readonly behind: number };
  readonly outboxes: {
    readonly slow: number;
    readonly waiting_bytes: number;
    readonly paused: number;
    readonly dropped: number;
    readonly disconnected: number;
  };
  /** Large answers under way, and those refused or aborted since the start. */
  readonly answers: { readonly bytes: number; readonly refused: number; readonly aborted: number };
  /**
   * How often the ways past the libraries were taken since the start: publishes read before Socket.IO decodes
   * them, writes straight to a TCP socket, connections made slim. A rate of 0 under load means that another
   * version of a library has other internals.
   */
  readonly optimizations: {
    readonly fast_publishes: number;
    readonly direct_writes: number;
    readonly slim_connections: number;
  };
  /**
   * What clients send: unanswered commands and their bytes now; since the start, times a connection was not read because of a limit,
   * packets without use, and connections closed for what they sent, by limit.
   */
  readonly inbound: {
    readonly commands: number;
    readonly bytes: number;
    readonly paused: number;
    readonly waste: number;
    readonly closed: Readonly<Record<string, number>>;
  };
  /**
   * Requests of long-polling that came to a replica without their transport, since the start: forwarded to the one that holds it; of other replicas,
   * served here; forwarded and not answered, because that one had ended or was out of reach; and upgrades to WebSocket refused.
   */
  readonly polling: {
    readonly forwarded: number;
    readonly served: number;
    readonly failed: number;
    readonly upgrades_refused: number;
  };
  readonly mailboxes: {
    readonly actors: number;
    readonly waiting: number;
    readonly failed: number;
    readonly rejected: number;
  };
  /**
   * `failures`, `restarts` and `stops` since the start; `stopped`: those that only an operator can restart.
   */
  readonly actors: {
    readonly failures: number;
    readonly restarts: number;
    readonly stops: number;
    readonly stopped: number;
  };
  readonly alerts: { readonly raised: number; readonly delivered: number; readonly undelivered: number };
  readonly work_pool: { readonly running: number; readonly waiting: number; readonly failures: number };
  /** Worker threads for `hooks.module`; without one there are none. `calls` by how they have ended, and `replaced` by reason, since the start. */
  readonly hook_pool: {
    readonly workers: { readonly idle: number; readonly busy: number; readonly restarting: number };
    readonly waiting: number;
    readonly calls: Readonly<Record<'done' | 'refused' | 'failed' | 'timeout' | 'busy', number>>;
    readonly replaced: Readonly<Record<'timeout' | 'memory' | 'ended' | 'load', number>>;
  };
  readonly traces: {
    readonly sampled: number;
    readonly forced: number;
    readonly skipped: number;
    readonly spans_exported: number;
    readonly spans_failed: number;
  };
  readonly redis: {
    readonly state: 'up' | 'down' | 'none';
    readonly reconnects: number;
    readonly errors: number;
    readonly stalls: number;
    /** Failed calls of Socket.IO's cluster adapter. */
    readonly adapter_failures: number;
    /** The user of Redis may not subscribe to the patterns of that adapter. */
    readonly adapter_denied: boolean;
    /** Null without Redis. `max_bytes` 0: no limit; `policy`: the `maxmemory-policy`. */
    readonly memory: {
      readonly level: 'ample' | 'scarce' | 'reserved' | 'exhausted';
      readonly used_bytes: number;
      readonly max_bytes: number;
      readonly policy: string;
    } | null;
    /** Why Redis cannot be used; null: it can, or there is none. */
    readonly outage:
      'unreachable' | 'stalled' | 'password' | 'clients' | 'tls' | 'stale' | 'sentinel' | 'cluster' | null;
    /** Whether Redis accepts what the service writes. */
    readonly writes: 'accepted' | 'refused';
    /** Code of the error, or `memory`: the rest of the memory is kept for operators. */
    readonly refused_by: string | null;
    readonly refused_writes: number;
  };
  /** `dropped`: lines of the log that were not written, because the reader was too slow or had gone. */
  readonly log: { readonly dropped: number };
  /** `recent_p99`: of the last half minute; the others since the start. */
  readonly event_loop_lag_ms: {
    readonly mean: number;
    readonly p99: number;
    readonly max: number;
    readonly recent_p99: number;
  };
  readonly memory: {
    readonly rss_bytes: number;
    readonly heap_used_bytes: number;
    readonly external_bytes: number;
    /** Most that the heap may take. */
    readonly heap_limit_bytes: number;
    /** Most that the process may take: of its container, or of the machine. */
    readonly limit_bytes: number;
  };
  /** Null where the system does not say. */
  readonly file_descriptors: { readonly open: number | null; readonly limit: number | null };
  /**
   * `messages`: in inboxes right after this replica has added one; `count`: direct messages added since the start. `fullest`: the five
   * fullest of those inboxes, the fullest first. Whose they are: `GET /admin/inboxes`.
   */
  readonly inboxes: {
    readonly messages: LatencySummary;
    readonly fullest: readonly {
      readonly messages: number;
      readonly bytes: number;
      readonly filled_percent: number;
    }[];
  };
  /**
   * What the five busiest have sent in the last one or two seconds, the busiest first: commands per second of users and of
   * connections, messages per second of topics. Their names are in `GET /admin/talkers`.
   */
  readonly top_talkers: {
    readonly users: readonly number[];
    readonly connections: readonly number[];
    readonly topics: readonly number[];
  };
  /** Users with a limit that an operator has set. */
  readonly limited_users: number;
}
