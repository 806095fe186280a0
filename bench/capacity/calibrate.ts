import { cpus } from 'node:os';
import { holdIdle } from '../idle/hold-idle.js';
import { measure, Side, type Measurement } from '../processes.js';
import type { Point } from './fit.js';
import { plannedPoints, type PlannedPoint } from './points.js';

/** What is measured beside the points, each in the unit of its name. */
export interface FurtherCosts {
  /** Processor time of a replica for a WebSocket handshake with a token, joining and one subscription. */
  readonly connectUs: number;
  /** Memory of a replica without clients, and what each idle connection adds. */
  readonly replicaMemoryBytes: number;
  readonly connectionMemoryBytes: number;
}

const timing = { warmUpMs: 5000, windowMs: 8000, stalled: 0, connectGroup: 50 } as const;

/** What other programs may use of a processor meanwhile; the kernel's own work for the clients counts as theirs. */
const othersLimit = 0.25;

/** Measures a workload: servers, Redis and clients are processes of this machine. */
export async function measurePoint({ name, use, replicas, work }: PlannedPoint): Promise<Point> {
  const side = await Side.start('rtc', { replicas });
  try {
    const result = await measure(side, { ...timing, ...work });
    if (result.missing > 0 || result.refused > 0) throw new Error('the machine was too slow for it');
    const others = perSec(result.otherCpuSecs, result);
    if (others > othersLimit)
      throw new Error(`other programs used ${others.toFixed(2)} of a processor meanwhile`);
    return {
      name,
      use,
      workload: {
        connections: work.subscribers + work.publishers,
        topics: work.ratePerSec === 0 ? 0 : work.topics,
        subscribersPerTopic: (work.subscribers * work.topicsPerSubscriber) / work.topics,
        publishersPerTopic: work.topics >= work.publishers ? 1 : work.publishers,
        publishesPerSec: perSec(result.offered, result),
        payloadBytes: work.payloadBytes!,
        connectsPerSec: 0,
        replicas,
        sharedProcessors: cpus().length,
      },
      replicaCores: perSec(result.serverCpuSecs, result),
      redisCores: perSec(result.cpuSecs - result.serverCpuSecs, result),
    };
  } finally {
    await side.stop();
  }
}

/** Whether a text is a part of a point's name, or says what it is used for. */
export function isNamed({ name, use }: Pick<Point, 'name' | 'use'>, text: string): boolean {
  return name.includes(text) || use === text;
}

/** The points of that name or use, or all. */
export function planned(text: string | undefined): readonly PlannedPoint[] {
  return plannedPoints.filter((point) => text === undefined || isNamed(point, text));
}

/** Measures what connections cost. */
export async function measureConnections(): Promise<FurtherCosts> {
  const side = await Side.start('rtc', { inspect: true, replicas: 1 });
  try {
    const { connections, connectCpuSecs, emptyBytes, fullBytes } = await holdIdle(side, {
      subscribers: 4000,
      publishers: 0,
    });
    return {
      connectUs: (connectCpuSecs * 1e6) / connections,
      replicaMemoryBytes: emptyBytes,
      connectionMemoryBytes: (fullBytes - emptyBytes) / connections,
    };
  } finally {
    await side.stop();
  }
}

function perSec(value: number, { windowMs }: Measurement): number {
  return (value / windowMs) * 1000;
}
