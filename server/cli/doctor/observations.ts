import type { ConnectionProblem } from '../target/connection-problem.js';

/** A refusal of the service, or of what stands before it. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Whether the address answers. */
export interface ReachObservation {
  /** Addresses of the host name; empty if it has none. */
  readonly addresses: readonly string[];
  /** Why HTTP could not be spoken; null: it could. */
  readonly problem: string | null;
  /** Status of `/health`. */
  readonly status: number | null;
  readonly answer_ms: number | null;
  /** By the header `Date`; whole seconds. */
  readonly clock_ahead_ms: number | null;
  readonly tls: {
    readonly expires_at: number;
    /** Code of Node or OpenSSL. */
    readonly problem: string | null;
    readonly valid_from?: number;
  } | null;
  /** Something answers or hangs up, but does not speak HTTP, or not TLS. Releases before this one do not say. */
  readonly problem_kind?: ConnectionProblem['kind'] | null;
  /** What has answered `/health`, if it is not the service. */
  readonly answer?: (Omit<Refusal, 'status'> & { readonly location: string | null }) | null;
}

/** The answer of `/health`, as far as it is looked at. */
export interface HealthObservation {
  readonly status: string;
  readonly phase: string;
  readonly mode: string;
  readonly accepts_connections: boolean;
  readonly presence: string;
  readonly frozen_topics: number;
  readonly replica_id: string;
  readonly version: string;
  readonly connections: number;
  readonly redis: {
    readonly state: 'up' | 'down' | 'none';
    readonly outage: string | null;
    readonly writes: string;
    /** Code of Redis, or `memory`. */
    readonly refused_by?: string | null | undefined;
    readonly memory: { readonly level: string } | null;
    /** Releases before this one do not say. */
    readonly adapter_denied?: boolean | undefined;
  };
}

/** Metrics of one replica, as far as they are looked at. */
export interface MetricsObservation {
  readonly replica_id: string;
  readonly active_connections: number;
  readonly actors: { readonly stopped: number };
  readonly outboxes: { readonly slow: number };
  readonly event_loop_lag_ms: { readonly recent_p99: number };
  /** Releases before this one do not say. Null: the system does not. */
  /** Releases before this one do not say the limits. */
  readonly memory?:
    | {
        readonly rss_bytes: number;
        readonly heap_used_bytes: number;
        readonly heap_limit_bytes?: number | undefined;
        readonly limit_bytes?: number | undefined;
      }
    | undefined;
  readonly file_descriptors?: { readonly open: number | null; readonly limit: number | null } | undefined;
  readonly redis: {
    readonly memory: {
      readonly policy: string;
      readonly max_bytes: number;
      readonly used_bytes: number;
    } | null;
  };
}

/** A token, and whether the service takes it. */
export interface TokenObservation {
  /** Where it comes from, in words; null: there is none. */
  readonly source: string | null;
  /** Seconds since 1970; null if the token does not say. */
  readonly issued_at: number | null;
  readonly expires_at: number | null;
  readonly refusal: Refusal | null;
}

/** What only an operator may see; null where it could not be read. */
export interface AdminObservation {
  readonly silent_replicas: readonly string[] | null;
  readonly replicas: readonly MetricsObservation[] | null;
  readonly settings: SettingsObservation | null;
  readonly stopped_actors: readonly StoppedActor[] | null;
  readonly alerts: readonly AlertObservation[] | null;
  readonly rates_switched_by: string | null;
  readonly frozen: readonly string[] | null;
  /** The longest mailbox; undefined: not looked at, by a release before this one. */
  readonly longest_mailbox?: { readonly actor_id: string; readonly mailbox_size: number } | null;
}

export interface StoppedActor {
  readonly actor_id: string;
  readonly replica_id: string;
  readonly last_error: string | null;
}

export interface AlertObservation {
  readonly at: number;
  readonly severity: string;
  readonly kind: string;
  readonly message: string;
  readonly replica_id?: string | undefined;
  readonly details?: { readonly differences?: readonly string[] | undefined } | undefined;
}

/** Settings, as far as they are looked at. */
export interface SettingsObservation {
  readonly max_connections: number;
  readonly max_message_bytes: number;
  readonly heartbeat_interval_secs: number;
  readonly leeway_secs: number;
  readonly mailbox_capacity?: number;
}

/** What the answer to an upgrade of `/ws` was. */
export interface UpgradeObservation {
  /** 101: it was made. 0: there was no answer. */
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** A step of the probe that failed. */
export interface ProbeFailure {
  readonly url: string;
  readonly step: 'connect' | 'subscribe' | 'publish' | 'receive' | 'order';
  readonly code: string;
  readonly message: string;
}

/** Messages from each replica to each. */
export interface ProbeObservation {
  readonly sent: number;
  /** Deliveries: each message to each subscriber. */
  readonly received: number;
  readonly slowest_ms: number | null;
  readonly clock_ahead_ms: number | null;
  readonly failures: readonly ProbeFailure[];
}

/** A connection on which nothing was sent. */
export interface IdleObservation {
  readonly asked_ms: number;
  /** Null: it was still open. */
  readonly closed_after_ms: number | null;
  /** Heartbeats that came meanwhile. */
  readonly heartbeats?: number;
}

/** A replica that `--replica` names. */
export interface ReplicaObservation {
  readonly url: string;
  readonly problem: string | null;
  readonly version: string | null;
  /** Settings that differ from those of the first. */
  readonly differences: readonly string[];
}

/** A Redis that was looked at directly. */
export interface RedisObservation {
  /** Without user and password. */
  readonly address: string;
  /** Why it was not reached; null: it was. */
  readonly problem: string | null;
  readonly ping_ms: { readonly median: number; readonly worst: number } | null;
  readonly version: string | null;
  /** What does not suit the service. */
  readonly advice: readonly { readonly kind: string; readonly problem: string; readonly remedy: string }[];
  /** Of `INFO`. */
  readonly fields: Readonly<Record<string, string>>;
  /** `maxmemory-policy`; null: it is not shown. */
  readonly policy: string | null;
  /** Commands of the service that this user of Redis may not send. */
  readonly denied: readonly string[];
}

/** Everything that `rtc doctor` has looked at. It can be stored, and judged elsewhere. */
export interface Observations {
  readonly format: 1;
  readonly at: number;
  readonly url: string;
  readonly reach: ReachObservation;
  readonly health: HealthObservation | null;
  readonly metrics: MetricsObservation | null;
  readonly token: TokenObservation;
  readonly operator: TokenObservation;
  readonly admin: AdminObservation | null;
  readonly upgrade: UpgradeObservation | null;
  /** Whether polling requests of one client reach one replica; null: not looked at. */
  readonly polling: {
    readonly lost: number;
    readonly requests: number;
    /** The answer to the handshake, if it was none. */
    readonly refusal?: Refusal;
  } | null;
  readonly probe: ProbeObservation | null;
  readonly idle: IdleObservation | null;
  readonly replicas: readonly ReplicaObservation[];
  /** Of `--redis`; null or undefined: not looked at. */
  readonly redis?: RedisObservation | null;
}

/** The metrics of all replicas, or of the one that was asked. */
export function metricsOf({ admin, metrics }: Observations): readonly MetricsObservation[] {
  const replicas = admin?.replicas ?? [];
  return replicas.length > 0 ? replicas : metrics === null ? [] : [metrics];
}
