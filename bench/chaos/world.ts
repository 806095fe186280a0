import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../seeded-random.js';
import type { Door } from './clients/client.js';
import { FaultProxy } from './faults/fault-proxy.js';
import type { LossWindow } from './history/event.js';
import type { Recorder } from './history/recorder.js';
import { RedisNodes } from './processes/redis-nodes.js';
import { RedisServer } from './processes/redis-server.js';
import { Sentinels } from './processes/sentinels.js';
import { Replica } from './processes/replica.js';
import type { Subscriber } from './clients/subscriber.js';
import type { Publisher } from './clients/publisher.js';

/** A replica, and the paths to it and from it. */
export interface Member {
  readonly replica: Replica;
  readonly toRedis: FaultProxy;
  readonly fromClients: FaultProxy;
}

/** Where the service comes from: roots of built checkouts. */
export interface Apps {
  readonly current: string;
  readonly old?: string;
}

/** What a run starts with. */
export interface WorldPlan {
  /** `memory`: a Redis that is killed comes back empty. `disk`: it comes back with everything that it has acknowledged. */
  readonly redisKeeps: 'memory' | 'disk';
  /** How far ahead the clock of each replica is, in milliseconds. */
  readonly clockShiftsMs?: readonly number[];
  /** A second Redis that copies the first. */
  readonly hasStandby?: true;
  /** Further settings of the replicas. */
  readonly settings?: NodeJS.ProcessEnv;
  /** Sentinels watch both, and the replicas go where these say; the paths to Redis are not used. */
  readonly hasSentinels?: true;
  /** A Redis Cluster, to which the replicas connect; the paths to Redis are not used. */
  readonly hasCluster?: true;
  /** Replicas that run the older release when the run begins, by number. */
  readonly startsOld?: readonly number[];
}

/** Settings of the replicas: short times, so that a run is short, and histories that keep everything. */
const environment = {
  RTC_WEBSOCKET_HEARTBEAT_INTERVAL_SECS: '2',
  RTC_WEBSOCKET_CLIENT_TIMEOUT_SECS: '5',
  RTC_REDIS_COMMAND_TIMEOUT_MS: '1000',
  RTC_REDIS_STALL_LIMIT_MS: '4000',
  RTC_REDIS_OUTCOME_LIMIT_MS: '8000',
  RTC_TOPICS_HISTORY_SIZE: '500000',
  RTC_TOPICS_POSITION_CHECK_SECS: '1',
  RTC_LIMITS_HTTP_REQUESTS: '0',
} as const;

/** The defaults of `server.drain_window_secs` and `server.shutdown_timeout_ms`, with time for a busy machine to notice. */
const shutdownLimitMs = 17_000;
const replicaCount = 2;
/** No new fault is begun after this time. */
const faultsLimitMs = 25_000;

/** The cluster of a run, and what can happen to it. */
export class World {
  readonly subscribers: Subscriber[] = [];
  /** Subscribers that do not stay; they are among the others too. */
  readonly guests: Subscriber[] = [];
  readonly publishers: Publisher[] = [];
  private tabs = 0;

  private constructor(
    readonly members: readonly Member[],
    readonly redis: RedisServer,
    readonly standby: RedisServer | undefined,
    readonly sentinels: Sentinels | undefined,
    readonly cluster: RedisNodes | undefined,
    readonly apps: Apps,
    readonly random: Random,
    readonly recorder: Recorder,
  ) {}

  static async start(plan: WorldPlan, apps: Apps, random: Random, recorder: Recorder): Promise<World> {
    const started: { stop(): Promise<void> }[] = [];
    try {
      const keepsData = plan.redisKeeps === 'disk';
      const cluster = plan.hasCluster === true ? await RedisNodes.start(keepsData) : undefined;
      if (cluster !== undefined) started.push(cluster);
      const redis = cluster?.nodes[0] ?? (await RedisServer.start(keepsData));
      if (cluster === undefined) started.push(redis);
      const standby = plan.hasStandby === true ? await RedisServer.start(keepsData) : undefined;
      if (standby !== undefined) started.push(standby);
      await standby?.follow(redis.port);
      const sentinels = plan.hasSentinels === true ? await Sentinels.start(redis.port) : undefined;
      if (sentinels !== undefined) started.push(sentinels);
      const members: Member[] = [];
      for (let n = 0; n < replicaCount; n++) {
        const toRedis = await FaultProxy.start(redis.port);
        started.push(toRedis);
        const clockShiftMs = plan.clockShiftsMs?.[n];
        const replica = await Replica.start(
          {
            name: `r${n + 1}`,
            app: plan.startsOld?.includes(n) === true ? apps.old! : apps.current,
            redisPort: toRedis.port,
            environment: {
              ...environment,
              ...plan.settings,
              ...(sentinels !== undefined && { REDIS_URL: sentinels.url }),
              ...(cluster !== undefined && { REDIS_URL: cluster.url }),
            },
            ...(clockShiftMs !== undefined && { clockShiftMs }),
          },
          (line) => recorder.add({ kind: 'bug', replica: `r${n + 1}`, line }),
        );
        started.push({ stop: () => replica.kill() });
        const fromClients = await FaultProxy.start(replica.port);
        started.push(fromClients);
        members.push({ replica, toRedis, fromClients });
      }
      return new World(members, redis, standby, sentinels, cluster, apps, random, recorder);
    } catch (error) {
      for (const one of started.reverse()) await one.stop();
      throw error;
    }
  }

  get doors(): readonly Door[] {
    return this.members.map(({ replica, fromClients }) => ({
      replica: replica.name,
      port: fromClients.port,
    }));
  }

  /** The way to a replica of this release, which answers everything that is asked after the run. */
  get readingDoor(): Door {
    return this.doors[this.members.findIndex(({ replica }) => replica.app === this.apps.current)]!;
  }

  /** The paths of all replicas. */
  get paths(): readonly FaultProxy[] {
    return this.members.flatMap(({ toRedis, fromClients }) => [toRedis, fromClients]);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.random(items.length)]!;
  }

  /** Waits between these times. */
  async pause(minMs: number, maxMs = minMs): Promise<void> {
    await sleep(minMs + this.random(maxMs - minMs + 1));
  }

  /** Does something so many times, or less often on a machine on which that takes too long. */
  async repeat(times: number, once: () => Promise<void>): Promise<void> {
    const endsAt = performance.now() + faultsLimitMs;
    for (let time = 0; time < times && performance.now() < endsAt; time++) await once();
  }

  /** Notes a fault in the history. */
  note(what: string, loses?: LossWindow): void {
    this.recorder.add({ kind: 'fault', what, ...(loses !== undefined && { loses }) });
  }

  /** Opens a second connection with the session of a client. */
  duplicateTab(of: Subscriber): Subscriber {
    const tab = of.duplicate(`${of.user}-tab${++this.tabs}`);
    this.note(`the tab of ${of.name} is duplicated: ${tab.name}`);
    this.subscribers.push(tab);
    tab.start();
    return tab;
  }

  /** A client ends for good. */
  leaveForGood(client: Subscriber): void {
    this.note(`${client.name} leaves for good`);
    this.subscribers.splice(this.subscribers.indexOf(client), 1);
    client.stop();
  }

  async killReplica({ replica }: Member): Promise<void> {
    this.note(`kill -9 of replica ${replica.name}`);
    await replica.kill();
    const guest = this.guests.pop();
    if (guest !== undefined) this.leaveForGood(guest);
  }

  async stopReplica({ replica }: Member): Promise<void> {
    this.note(`SIGTERM to replica ${replica.name}`);
    const { exitCode, tookMs } = await replica.terminate();
    this.recorder.add({
      kind: 'replica-stopped',
      replica: replica.name,
      exitCode,
      tookMs: Math.round(tookMs),
      limitMs: shutdownLimitMs,
    });
  }

  async startReplica({ replica }: Member, app?: string): Promise<void> {
    await replica.run(app);
    this.note(`replica ${replica.name} runs again`);
  }

  /** All replicas use another Redis from now on. */
  moveTo(redis: RedisServer): void {
    for (const { toRedis } of this.members) {
      toRedis.retarget(redis.port);
      toRedis.cut();
    }
  }

  /** Ends all faults. */
  async heal(): Promise<void> {
    this.note('all faults end');
    for (const path of this.paths) path.heal();
    for (const redis of [this.redis, this.standby, ...(this.cluster?.nodes ?? [])]) redis?.signal('SIGCONT');
    for (const { replica } of this.members) replica.signal('SIGCONT');
    for (const { replica } of this.members) if (!replica.isRunning) await replica.run();
  }

  async stop(): Promise<void> {
    for (const client of [...this.publishers, ...this.subscribers]) client.stop();
    for (const { replica, toRedis, fromClients } of this.members) {
      await replica.kill();
      await toRedis.stop();
      await fromClients.stop();
    }
    await this.sentinels?.stop();
    await this.standby?.stop();
    await (this.cluster ?? this.redis).stop();
  }
}
