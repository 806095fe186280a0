import { SettingsError } from '../config/load.js';
import type { Settings } from '../config/schema.js';

/**
 * PM2 numbers the processes of an app. Several on one port without Redis would each have topics of their own, and nobody would notice:
 * only the first may run.
 *
 * @throws SettingsError in every other one
 */
export function refuseSplitReplicas(settings: Settings, environment: NodeJS.ProcessEnv): void {
  const instance = environment['NODE_APP_INSTANCE'];
  if (instance === undefined || instance === '' || instance === '0' || settings.redis.url !== undefined)
    return;
  throw new SettingsError([
    `redis.url: several replicas need Redis, and this is number ${Number(instance) + 1}: set REDIS_URL, or run one replica`,
  ]);
}
