import { calibrationOf, type Measured } from './calibration.js';
import type { Point } from './fit.js';
import {
  loadOf,
  size,
  type Calibration,
  type Impossible,
  type Limits,
  type Load,
  type Sizing,
} from './model.js';
import type { Workload } from './workload.js';

/** Every measured point beside what the model says of it. */
export function checkTable(points: readonly Point[], calibration: Calibration): string {
  return tableOf(points, () => calibration);
}

/** The same, where the costs for each point follow from all others, whatever they are used for otherwise. */
export function leaveOutTable(measured: Measured): string {
  const { points } = measured;
  return tableOf(points, (point) => {
    const others = points.filter((each) => each !== point);
    return calibrationOf({ ...measured, points: others.map((each) => ({ ...each, use: 'calibration' })) });
  });
}

function tableOf(points: readonly Point[], costsFor: (point: Point) => Calibration): string {
  const rows = points.map((point) => {
    const { replicas, redis } = comparisonOf(point, costsFor(point));
    return `| ${point.name} | ${point.use} | ${cores(point.replicaCores)} | ${cores(replicas.cores)} | ${signed(replicas.error)} | ${cores(point.redisCores)} | ${cores(redis.cores)} | ${signed(redis.error)} |`;
  });
  return [
    '| workload | use | replicas, measured | model | error | Redis, measured | model | error |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** What the model says of a measured point, and its error as a share of what was measured. */
export function comparisonOf(point: Point, calibration: Calibration) {
  const load = loadOf(point.workload, calibration);
  const compare = (modelled: number, measured: number) => ({
    cores: modelled,
    error: modelled / measured - 1,
  });
  return {
    replicas: compare(load.replicaCores * point.workload.replicas, point.replicaCores),
    redis: compare(load.redisCores, point.redisCores),
  };
}

export function loadText(load: Load): string {
  return [
    `Each replica: ${count(load.connectionsOfReplica)} connections, ${cores(load.replicaCores)} cores, ${mib(load.replicaMemoryBytes)} of memory, sends ${mbit(load.replicaSentBytesPerSec)}`,
    `Redis:        ${cores(load.redisCores)} cores in all, ${cores(load.redisCoresOfTopic)} for each topic, sends ${mbit(load.redisSentBytesPerSec)}`,
    `Activity:     ${count(load.activity.deliveries)} deliveries/s in ${count(load.activity.writes)} writes/s; ${count(load.activity.publishes)} publishes/s in ${count(load.activity.calls)} calls of Redis/s`,
  ].join('\n');
}

export function sizingText(sizing: Sizing | Impossible): string {
  if (!('load' in sizing))
    return `No number of replicas carries this: ${sizing.saturated} is ${sizing.times.toFixed(2)} times over its limit at best.`;
  const { workload, load, redisShards, decidedBy } = sizing;
  return [
    `${count(workload.replicas)} replicas and ${count(redisShards)} Redis ${redisShards === 1 ? 'process' : 'processes'}; the number of replicas is decided by: ${decidedBy}`,
    loadText(load),
  ].join('\n');
}

type Profile = (connections: number) => Omit<Workload, 'replicas'>;

/** Apps of the sizing table. */
const profiles: Record<string, Profile> = {
  'chat: rooms of 20, 5 rooms each, a message per connection in 100 s': (connections) => ({
    connections,
    topics: Math.ceil((connections * 5) / 20),
    subscribersPerTopic: 20,
    publishersPerTopic: 20,
    publishesPerSec: connections / 100,
    payloadBytes: 200,
    connectsPerSec: connections / 600,
  }),
  'notifications: a topic of its own for each connection, a message in 60 s': (connections) => ({
    connections,
    topics: connections,
    subscribersPerTopic: 1,
    publishersPerTopic: 1,
    publishesPerSec: connections / 60,
    payloadBytes: 500,
    connectsPerSec: connections / 600,
  }),
  'live event: one topic for all, 5 msg/s': (connections) => ({
    connections,
    topics: 1,
    subscribersPerTopic: connections,
    publishersPerTopic: 1,
    publishesPerSec: 5,
    payloadBytes: 300,
    connectsPerSec: connections / 300,
  }),
};

/** Replicas and Redis processes for some kinds of apps, up to ten million connections. */
export function sizingTable(calibration: Calibration, limits: Limits): string {
  const rows = Object.entries(profiles).flatMap(([name, profile]) =>
    [1e3, 1e4, 1e5, 1e6, 1e7].map((connections) => {
      const sizing = size(profile(connections), calibration, limits);
      const what = `| ${name} | ${count(connections)}`;
      if (!('load' in sizing))
        return `${what} | none | – | – | – | ${sizing.saturated}: ${sizing.times.toFixed(2)} times over its limit |`;
      const { workload, load, redisShards, decidedBy } = sizing;
      return `${what} | ${count(workload.replicas)} | ${cores(load.replicaCores)} | ${mib(load.replicaMemoryBytes)} | ${count(redisShards)} | ${decidedBy} |`;
    }),
  );
  return [
    '| app | connections | replicas | cores of a replica | memory of a replica | Redis processes | decided by |',
    '|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function cores(value: number): string {
  return value.toFixed(value < 0.01 ? 4 : value < 1 ? 3 : 2);
}

function signed(share: number): string {
  return `${share < 0 ? '−' : '+'}${Math.abs(share * 100).toFixed(0)} %`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function mib(bytes: number): string {
  return `${count(bytes / 2 ** 20)} MiB`;
}

function mbit(bytesPerSec: number): string {
  return `${((bytesPerSec * 8) / 1e6).toFixed(1)} Mbit/s`;
}
