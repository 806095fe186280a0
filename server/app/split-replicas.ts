/**
 * Several processes of one app without Redis: each would have topics of its own, and nobody would notice. All but one of them are
 * refused, by two signs:
 *
 * - their number, which PM2 gives to every process of an app, on one port or on several. It is known before anything starts.
 * - the port that they share. Any process manager that uses node:cluster has it, and a program that embeds the service reads no number.
 */
import cluster from 'node:cluster';
import { SettingsError } from '../config/load.js';
import type { Settings } from '../config/schema.js';

/** @throws SettingsError in every process of PM2 but the first, if there is no Redis */
export function refuseSplitReplicas(settings: Settings, environment: NodeJS.ProcessEnv): void {
  const instance = environment['NODE_APP_INSTANCE'];
  if (instance === undefined || instance === '' || instance === '0' || settings.redis.url !== undefined)
    return;
  throw new SettingsError([
    `redis.url: several replicas need Redis, and this is number ${Number(instance) + 1}: set REDIS_URL, or run one replica`,
  ]);
}

/** Why a replica without Redis cannot listen: the port of a worker is in use by another worker, so another port is no remedy. */
export function splitReplicaProblem(error: unknown, port: number): unknown {
  if (!cluster.isWorker || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return error;
  return new SettingsError([
    `redis.url: is needed where several processes share port ${port}: without Redis each would know its own clients only. Set REDIS_URL, or run one process (PM2: instances 1)`,
  ]);
}
