import { combinedScenarios } from './combined.js';
import { networkScenarios } from './network.js';
import { redisKeyScenarios } from './redis-keys.js';
import { redisScenarios } from './redis.js';
import { replicaScenarios } from './replicas.js';
import type { Scenario } from './scenario.js';
import { sentinelScenarios } from './sentinel.js';
import { versionScenarios } from './versions.js';

/** All scenarios, in the order in which they are run. */
export const scenarios: readonly Scenario[] = [
  ...replicaScenarios,
  ...networkScenarios,
  ...redisScenarios,
  ...redisKeyScenarios,
  ...sentinelScenarios,
  ...combinedScenarios,
  ...versionScenarios,
];
