import type { Store } from 'express-rate-limit';
import type { ConnectionCountStore } from '../limits/connection-count-store.js';
import { newQuotaCounts, type QuotaCounts } from '../limits/quota-counts.js';
import type { StoreMemory } from '../limits/store-memory.js';
import type { UserQuotaStore } from '../limits/user-quota-store.js';
import type { UserRateStore } from '../limits/user-rate-store.js';
import type { PresenceStore } from '../presence/presence-store.js';
import type { Bus } from '../cluster/bus.js';
import type { ReplicaIdentity } from '../cluster/replica-identity.js';
import type { ReplicaRecord } from '../cluster/replica-differences.js';
import type { NameHolder } from '../cluster/replica-registry.js';
import type { SharedStore } from '../cluster/shared-store.js';
import { DroppedSessions } from '../sessions/dropped-sessions.js';
import type { SessionLimits, SessionStore } from '../sessions/session-store.js';
import { redisAddressOf, type RedisAddress } from '../config/redis-address.js';
import type { Settings } from '../config/schema.js';
import { AscendingTime } from '../primitives/ascending-time.js';
import { inboxPrefix } from '../direct/inbox-name.js';
import type { Log, LogFactory } from '../logging/log.js';
import { compileTopicPattern } from '../../shared/topic-name.js';
import type { Broker, Retention } from '../log/broker.js';
import { AdapterClients } from './redis/adapter-clients.js';
import { databaseMark } from './redis/database.js';
import { HistoryMemory } from './memory/history-memory.js';
import { fixedMemory } from './memory/fixed-memory.js';
import { MemoryBroker } from './memory/memory-broker.js';
import { MemoryBus } from './memory/memory-bus.js';
import { MemoryConnectionCountStore } from './memory/memory-connection-count-store.js';
import { MemoryPresenceStore } from './memory/memory-presence-store.js';
import { MemorySessionStore } from './memory/memory-session-store.js';
import { MemorySharedStore } from './memory/memory-shared-store.js';
import { ClusterAdapterClients } from './redis/cluster/cluster-adapter.js';
import { clusterReplicaPrefix, openRedisCluster } from './redis/cluster/open-redis-cluster.js';
import type { RedisCluster } from './redis/cluster/redis-cluster.js';
import { ShardLosses } from './redis/cluster/shard-losses.js';
import { RedisAdvice } from './redis/redis-advice.js';
import { RedisBroker } from './redis/redis-broker.js';
import { RedisBus } from './redis/redis-bus.js';
import { RedisConnectionCountStore } from './redis/redis-connection-count-store.js';
import { redisConnector } from './redis/redis-connector.js';
import { redisHttpRateStore } from './redis/redis-http-rate-store.js';
import { RedisLink } from './redis/redis-link.js';
import type { Outage, OutageKind } from './redis/redis-outage.js';
import type { RedisLoss } from './redis/redis-losses.js';
import { RedisMemory } from './redis/redis-memory.js';
import { RedisPresenceStore } from './redis/redis-presence-store.js';
import { RedisReplicaRegistry } from './redis/redis-replica-registry.js';
import { RedisSessionStore } from './redis/redis-session-store.js';
import { RedisSharedStore } from './redis/redis-shared-store.js';
import { RedisUserQuotaStore } from './redis/redis-user-quota-store.js';
import { RedisUserRateStore } from './redis/redis-user-rate-store.js';
import { replicaKeys } from './redis/replica-keys.js';
import { successorKind, type RedisSuccession, type StalePrimary } from './redis/redis-succession.js';
import { readRedisTls } from './redis/redis-tls.js';
import type { SocketIoClients } from './redis/socket-io-clients.js';
import { RedisWrites, type WriteRefusal, type WriteState } from './redis/redis-writes.js';

/**
 * All storage and messaging drivers of a replica: in memory if it runs alone, in Redis if it is one of
 * several.
 */
export interface Storage {
  readonly broker: Broker;
  readonly bus: Bus;
  readonly presence: PresenceStore;
  readonly sessions: SessionStore;
  /** Control state, revocations, refresh tokens, the audit log. */
  readonly shared: SharedStore;
  /** Command rates of users over all replicas; undefined in memory. */
  readonly userRates: UserRateStore | undefined;
  /** Quotas of users over all replicas; undefined in memory. */
  readonly userQuotas: UserQuotaStore | undefined;
  /** Connection counts of users over all replicas. */
  readonly connectionCounts: ConnectionCountStore;
  /** Request counts of HTTP callers over all replicas; undefined in memory. */
  readonly httpRates: Store | undefined;
  /** The memory that publishes use: of Redis, or of this process. */
  readonly memory: StoreMemory;
  readonly quotaCounts: QuotaCounts;
  /** Milliseconds since 1970, the same on all replicas: for times of messages. */
  readonly now: () => number;
  /** The same for ids of messages: it does not go back where the clock is set back, so that ids stay in the order of the log. */
  readonly idTime: () => number;
  /** Messages removed early for want of memory, without Redis. */
  historyRemoved(): number;
  /** Clients for Socket.IO's cluster adapter; undefined in memory. */
  readonly adapter: SocketIoClients | undefined;
  /** For `/health` and `/metrics`. */
  redis(): {
    state: 'up' | 'down' | 'none';
    reconnects: number;
    errors: number;
    stalls: number;
    adapter_failures: number;
    adapter_denied: boolean;
    memory: StoreMemory['state'] | null;
    /** Why Redis cannot be used; null: it can, or there is none. */
    outage: OutageKind | null;
  } & WriteState;
  /** Called when Redis cannot be used and that lasts, and with undefined when it is over. */
  onOutage(listener: (outage: Outage | undefined) => void): void;
  /** Called when Redis begins to refuse writes, and with undefined when it accepts them again. */
  onWrites(listener: (refusal: WriteRefusal | undefined) => void): void;
  /** Called once for each old primary of Redis that still accepts writes. */
  onStalePrimary(listener: (found: StalePrimary) => void): void;
  /** Called when Redis has come back with less than it had; in a Redis Cluster, once for each shard that has. */
  onLoss(listener: (loss: RedisLoss) => void): void;
  /** Called each time the store becomes reachable (again). */
  onUp(listener: () => void): void;
  start(): void;
  /**
   * Resolves when the store answers, or after the time limit.
   *
   * @throws UnsupportedStoreError if the service cannot work with the store
   */
  whenReady(limitMs: number): Promise<void>;
  /**
   * Takes the configured name over from a process that has ended. Resolves to the replica that has the name and is
   * alive; undefined if there is none. Rejects while the store is unreachable.
   */
  claimName(): Promise<NameHolder | undefined>;
  /** Called with the records of the other replicas, each time others are live. */
  onReplicas(listener: (others: readonly ReplicaRecord[]) => void): void;
  close(): Promise<void>;
}

interface StorageDependencies {
  readonly identity: ReplicaIdentity;
  readonly logOf: LogFactory;
  readonly now: () => number;
}

/** The service cannot work with the store that the settings name. The message says why, and what to do. */
export class UnsupportedStoreError extends Error {
  override readonly name = 'UnsupportedStoreError';
}

/** Chooses the drivers: Redis if the settings have an address, else memory. */
export function openStorage(dependencies: StorageDependencies, settings: Settings): Storage {
  return settings.redis.url === undefined
    ? memoryStorage(dependencies, settings)
    : redisStorage(dependencies, settings, settings.redis.url);
}

function memoryStorage({ identity, logOf, now }: StorageDependencies, settings: Settings): Storage {
  const quotaCounts = newQuotaCounts();
  const memory = new HistoryMemory({ log: logOf('cluster') }, { limitBytes: settings.topics.memoryBytes });
  const broker = new MemoryBroker({ retentionOf: retentionBy(settings, quotaCounts), now, memory });
  const guard = fixedMemory({ memory, broker, counts: quotaCounts, log: logOf('cluster') }, settings);
  const bus = new MemoryBus(identity.id);
  const limits = sessionLimits(settings);
  return {
    broker,
    bus,
    presence: new MemoryPresenceStore(),
    sessions: new MemorySessionStore(
      {
        now: () => performance.now(),
        drops: new DroppedSessions({ counts: quotaCounts, log: logOf('sessions'), now }, limits),
      },
      { ttlMs: settings.sessions.ttlSecs * 1000, limits },
    ),
    shared: new MemorySharedStore({ now }),
    userRates: undefined,
    userQuotas: undefined,
    connectionCounts: new MemoryConnectionCountStore(),
    httpRates: undefined,
    memory: guard,
    quotaCounts,
    now,
    idTime: new AscendingTime(now, () => performance.now()).now,
    historyRemoved: () => memory.removed,
    adapter: undefined,
    redis: () => ({
      state: 'none',
      reconnects: 0,
      errors: 0,
      stalls: 0,
      adapter_failures: 0,
      adapter_denied: false,
      memory: null,
      outage: null,
      ...new RedisWrites().state,
    }),
    onOutage: () => {},
    onWrites: () => {},
    onStalePrimary: () => {},
    onLoss: () => {},
    onUp: () => {},
    start: () => {},
    whenReady: async () => {},
    claimName: async () => undefined,
    onReplicas: () => {},
    close: async () => {
      await bus.close();
      await broker.close();
    },
  };
}

/** What is different between one Redis and a Redis Cluster. */
interface OpenedRedis {
  readonly link: RedisLink | RedisCluster;
  readonly adapter: SocketIoClients;
  /** See `database.ts`. */
  readonly channelMark: string;
  /** What the names of keys and channels of replicas begin with. */
  readonly replicaPrefix: string;
  readonly succession: RedisSuccession | undefined;
}

function openOneRedis(log: Log, { redis }: Settings, url: string, address: RedisAddress): OpenedRedis {
  const { keyPrefix, commandTimeoutMs, stallLimitMs } = redis;
  const channelMark = databaseMark(url);
  // By their channels, and by the registry, replicas of version 0.1 are distinguished from newer ones.
  const formerRegistry = channelMark === '' ? undefined : replicaKeys(keyPrefix).beats;
  const connector = redisConnector({ log }, { address, tls: readRedisTls(redis) });
  const replicaPrefix = `${keyPrefix}${channelMark}`;
  const busChannel = replicaKeys(replicaPrefix).bus;
  const link = new RedisLink(
    { log, connector },
    { url, commandTimeoutMs, stallLimitMs, formerRegistry, keyPrefix, busChannel },
  );
  const adapter = new AdapterClients({ log, connector }, { url, answerLimitMs: commandTimeoutMs });
  link.onLeft(() => adapter.reconnect());
  return { link, adapter, channelMark, replicaPrefix, succession: link.succession };
}

function openCluster(log: Log, { redis }: Settings, address: RedisAddress): OpenedRedis {
  const link = openRedisCluster({ log, tls: readRedisTls(redis) }, address, redis);
  const adapter = new ClusterAdapterClients({ log, link }, { answerLimitMs: redis.commandTimeoutMs });
  const replicaPrefix = clusterReplicaPrefix(redis.keyPrefix);
  // Nodes of a cluster learn from each other who the primary is.
  return { link, adapter, channelMark: '', replicaPrefix, succession: undefined };
}

function redisStorage(
  { identity, logOf, now }: StorageDependencies,
  settings: Settings,
  url: string,
): Storage {
  const { keyPrefix, commandTimeoutMs, outcomeLimitMs, reservedMemoryPercent } = settings.redis;
  const { waitReplicas, waitReplicasMode } = settings.redis;
  const log = logOf('cluster');
  const address = redisAddressOf(settings.redis)!;
  const { link, adapter, channelMark, replicaPrefix, succession } =
    address.cluster === undefined
      ? openOneRedis(log, settings, url, address)
      : openCluster(log, settings, address);
  const registry = new RedisReplicaRegistry({ link, log }, { keyPrefix: replicaPrefix, identity });
  const shardLosses = link.isCluster ? new ShardLosses({ link, log }, { keyPrefix }) : undefined;
  const bus = new RedisBus({ link, registry, log }, { keyPrefix: replicaPrefix });
  bus.on(successorKind, (data) => succession?.learn(data));
  const quotaCounts = newQuotaCounts();
  const measured = new RedisMemory(
    { link, counts: quotaCounts, log },
    { reservedPercent: reservedMemoryPercent },
  );
  const memory = measured.guard;
  const broker = new RedisBroker(
    { link, retentionOf: retentionBy(settings, quotaCounts), memory, log, now: link.clock.now },
    {
      keyPrefix,
      channelMark,
      outcomeLimitMs,
      waitReplicas,
      waitReplicasStrict: waitReplicasMode === 'require',
      unusedKeepMs: Math.max(120_000, 4000 * settings.topics.positionCheckSecs),
    },
  );
  const connectionCounts = new RedisConnectionCountStore({ link, bus }, { keyPrefix });
  const limits = sessionLimits(settings);
  new RedisAdvice({ link, log }, { keyPrefix });
  return {
    broker,
    bus,
    presence: new RedisPresenceStore(
      { link, bus, registry, log: logOf('presence') },
      link.isCluster ? { keyPrefix, replicaPrefix } : { keyPrefix: replicaPrefix },
    ),
    sessions: new RedisSessionStore(
      {
        link,
        checkRoom: () => memory.checkSession(),
        drops: new DroppedSessions({ counts: quotaCounts, log: logOf('sessions'), now }, limits),
      },
      { keyPrefix, ttlMs: settings.sessions.ttlSecs * 1000, limits },
    ),
    shared: new RedisSharedStore({ link, log }, { keyPrefix, answerLimitMs: commandTimeoutMs }),
    userRates: new RedisUserRateStore(link, { keyPrefix }),
    userQuotas: new RedisUserQuotaStore(link, { keyPrefix }),
    connectionCounts,
    httpRates: redisHttpRateStore(link, { keyPrefix }),
    memory,
    quotaCounts,
    now: link.clock.now,
    idTime: link.clock.idTime,
    historyRemoved: () => 0,
    adapter,
    redis: () => ({
      state: link.state,
      ...link.counts,
      adapter_failures: adapter.failures,
      adapter_denied: adapter.isDenied,
      memory: memory.state,
      outage: link.outage.current?.kind ?? null,
      ...link.writes.state,
    }),
    onOutage: (listener) => link.outage.onLasting(listener),
    onWrites: (listener) => link.writes.onChange(listener),
    onStalePrimary: (listener) => succession?.onStale(listener),
    onLoss: (listener) => {
      registry.losses.onLoss(listener);
      shardLosses?.onLoss(listener);
    },
    onUp: (listener) =>
      link.onState((state) => {
        if (state === 'up') listener();
      }),
    start: () => {
      link.start();
      adapter.start();
    },
    whenReady: async (limitMs) => {
      await link.whenUp(limitMs);
      if (link.unsupported === undefined) return;
      await Promise.all([adapter.close(), link.close()]);
      throw new UnsupportedStoreError(link.unsupported);
    },
    claimName: () => registry.claimName(),
    onReplicas: (listener) => registry.onOthers(listener),
    close: async () => {
      measured.close();
      shardLosses?.close();
      await connectionCounts.close();
      await registry.close();
      await bus.close();
      await broker.close();
      await adapter.close();
      await link.close();
    },
  };
}

/** The limits of stored sessions. */
function sessionLimits({
  sessions,
}: Pick<Settings, 'sessions'>): SessionLimits & { readonly memoryBytes: number } {
  const { maxPerUser, maxBytesPerUser, memoryBytes } = sessions;
  return { userSessions: maxPerUser, userBytes: maxBytesPerUser, memoryBytes };
}

/**
 * The retention of a topic: the first rule whose pattern matches, else the general settings. Topics of one
 * rule get the same object, so that the drivers can compare retentions.
 */
function retentionBy(
  { topics, direct, actorSystem }: Settings,
  counts: QuotaCounts,
): (topic: string) => Retention {
  const common: Retention = {
    historySize: topics.historySize,
    historyTtlMs: topics.historyTtlSecs * 1000,
    idempotencyMs: topics.idempotencyWindowSecs * 1000,
    fullAt: 0,
  };
  const inbox: Retention = {
    ...common,
    // An inbox is never trimmed, so it needs space for the batch that fills it.
    historySize: direct.inboxSize + actorSystem.batchMax,
    fullAt: direct.inboxSize,
    shares: {
      bytes: direct.inboxBytes,
      senderMessages: Math.ceil((direct.inboxSize * direct.inboxSenderPercent) / 100),
      senderBytes: Math.ceil((direct.inboxBytes * direct.inboxSenderPercent) / 100),
      onRefused: () => counts.inboxShare++,
      onFull: (messages) => (counts.inboxFull += messages),
    },
    historyTtlMs: direct.inboxTtlSecs * 1000,
  };
  const rules = topics.rules.map((rule) => {
    const retention: Retention = {
      ...common,
      historySize: rule.historySize ?? common.historySize,
      historyTtlMs: rule.historyTtlSecs === undefined ? common.historyTtlMs : rule.historyTtlSecs * 1000,
      idempotencyMs:
        rule.idempotencyWindowSecs === undefined ? common.idempotencyMs : rule.idempotencyWindowSecs * 1000,
    };
    return { retention, matches: compileTopicPattern(rule.pattern) };
  });
  return (topic) =>
    topic.startsWith(inboxPrefix)
      ? inbox
      : (rules.find(({ matches }) => matches(topic))?.retention ?? common);
}
