import type { Log } from '../../logging/log.js';
import type { Clock, Timer } from '../../primitives/clock.js';

/** Why Redis cannot be used. */
export type OutageKind =
  'unreachable' | 'stalled' | 'password' | 'clients' | 'tls' | 'stale' | 'sentinel' | 'cluster';

/** What is wrong with Redis, for operators. */
export interface Outage {
  readonly kind: OutageKind;
  /** What it is and what mends it, in plain words. */
  readonly problem: string;
  readonly remedy: string;
  /** The last error. */
  readonly reason: string;
}

interface RedisOutageDependencies {
  readonly log: Log;
  readonly clock: Clock;
}

/** An outage of this length raises an alert, in milliseconds. Most failovers and restarts are shorter. */
const lastingMs = 5000;

const words: Readonly<Record<OutageKind, { readonly problem: string; readonly remedy: string }>> = {
  unreachable: {
    problem: 'Redis is not reached',
    remedy:
      'start Redis, or set REDIS_URL (redis.url) to its address; see that no firewall is in between. It is used as soon as it answers',
  },
  stalled: {
    problem: 'Redis does not answer',
    remedy: 'look for what blocks it: a slow command (SLOWLOG GET), swap, a full disk, a stopped process',
  },
  password: {
    problem: 'Redis refuses the user or the password',
    remedy:
      'set both in REDIS_URL (redis.url): redis://user:password@host, or redis://:password@host. rtc redis acl prints the rights that a user of its own needs',
  },
  clients: {
    problem: 'Redis accepts no more connections',
    remedy:
      'raise maxclients in the configuration of Redis, or end what holds its connections (CLIENT LIST): a replica of this service needs about five',
  },
  stale: {
    problem: 'Redis is a stale primary: there is a newer one, which continues its data',
    remedy:
      'let REDIS_URL lead to the new primary, and make this one its replica (REPLICAOF): what it has stored since is lost. To give up the new one instead, stop it and restart the replicas of this service',
  },
  tls: {
    problem: 'TLS with Redis fails',
    remedy:
      'use rediss:// only where Redis speaks TLS, and redis:// where it does not; name the authority of its certificate by redis.tls_ca_file, or NODE_EXTRA_CA_CERTS; a Redis that asks for a certificate gets redis.tls_cert_file',
  },
  cluster: {
    problem: 'The Redis Cluster does not serve all slots',
    remedy:
      'see redis-cli --cluster check <host>:<port>: start the nodes that are down, or give their slots to others (redis-cli --cluster fix). Topics in other slots go on if cluster-require-full-coverage is no',
  },
  sentinel: {
    problem: 'Sentinel does not say where Redis is',
    remedy:
      'start the Sentinels, or correct redis.sentinels and redis.sentinel_master_name; Sentinels with a password need it in redis.sentinels: redis://:password@host:26379',
  },
};

/**
 * Notifies operators that Redis cannot be used: one line of the log for each state, however often the service tries, and
 * an alert if it lasts.
 * Until Redis is back, publishes are refused and `/health` is degraded.
 */
export class RedisOutage {
  private outage: Outage | undefined;
  private wasUp = false;
  private isLasting = false;
  private timer: Timer | undefined;
  private downAt: number | undefined;

  private readonly listeners: ((outage: Outage | undefined) => void)[] = [];

  constructor(private readonly dependencies: RedisOutageDependencies) {}

  /** Called with an outage that lasts, and with undefined when it is over. */
  onLasting(listener: (outage: Outage | undefined) => void): void {
    this.listeners.push(listener);
  }

  /** What is wrong now; undefined: nothing. */
  get current(): Outage | undefined {
    return this.outage;
  }

  /** To be called with each error of a connection that is not up. */
  failed(error: Error): void {
    const kind = outageKindOf(error);
    // A connection that was closed without a reason of the network says nothing new: Redis closes those it refuses.
    if (kind === 'unreachable' && this.outage !== undefined && !hasNetworkCode(error)) return;
    this.enter(kind, reasonOf(error));
  }

  /** To be called when Redis was reachable and is not any more. */
  down(isStalled: boolean): void {
    this.enter(isStalled ? 'stalled' : 'unreachable', isStalled ? 'no answer' : 'the connection was lost');
  }

  /** To be called when the Redis that was found must not be used, because replicas have used its successor. */
  stale(history: string): void {
    this.enter('stale', `it writes the history ${history}, which another Redis has continued`);
  }

  up(): void {
    const { log, clock } = this.dependencies;
    this.wasUp = true;
    if (this.outage === undefined) return;
    log.info('Redis is back', { was: this.outage.kind, after_ms: Math.round(clock.now() - this.downAt!) });
    this.end();
    if (!this.isLasting) return;
    this.isLasting = false;
    this.notify(undefined);
  }

  close(): void {
    this.end();
  }

  private enter(kind: OutageKind, reason: string): void {
    const { log, clock } = this.dependencies;
    const before = this.outage?.kind;
    this.outage = { kind, ...words[kind], reason };
    if (before === undefined) {
      this.downAt = clock.now();
      this.timer = clock.setTimeout(() => this.lasts(), lastingMs);
      this.timer.unref();
    }
    // A stalled Redis that is then given up is the same state. That it refuses the password is another one.
    if (before === kind || (before === 'stalled' && kind === 'unreachable')) return;
    const { problem, remedy } = words[kind];
    log.error(this.wasUp && kind === 'unreachable' ? 'Redis is lost' : problem, {
      reason,
      remedy,
      effect: 'publishes and first subscriptions are refused with unavailable',
    });
    // The alert named another reason.
    if (this.isLasting) this.lasts();
  }

  private lasts(): void {
    this.isLasting = true;
    this.notify(this.outage);
  }

  private notify(outage: Outage | undefined): void {
    for (const listener of this.listeners) listener(outage);
  }

  private end(): void {
    this.outage = undefined;
    this.dependencies.clock.clearTimer(this.timer);
  }
}

/** What an error of a connection says of Redis. */
export function outageKindOf(error: Error): OutageKind {
  if (error.name === 'SentinelError') return 'sentinel';
  if (error.name === 'ClusterError') return 'cluster';
  const { code = '' } = error as NodeJS.ErrnoException;
  if (
    /^(?:ERR )?(?:NOAUTH|WRONGPASS|NOPERM|AUTH\b|invalid (?:password|username)|Client sent AUTH)/i.test(
      error.message,
    )
  )
    return 'password';
  if (/max number of clients/i.test(error.message)) return 'clients';
  if (/^(?:EPROTO|ERR_SSL|ERR_TLS|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH)/.test(code))
    return 'tls';
  return 'unreachable';
}

function hasNetworkCode(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code !== undefined;
}

/** An attempt at several addresses of a host has an empty message. */
function reasonOf(error: Error): string {
  if (error.message !== '') return error.message;
  const { code, errors } = error as NodeJS.ErrnoException & { readonly errors?: readonly Error[] };
  return errors?.[0]?.message ?? code ?? error.name;
}
