import { clockChecks, tokenChecks } from './checks/access-checks.js';
import { addressChecks } from './checks/address-checks.js';
import { messageChecks, proxyChecks } from './checks/path-checks.js';
import { redisChecks } from './checks/redis-checks.js';
import { replicaChecks } from './checks/replica-checks.js';
import { actorChecks, capacityChecks, switchChecks } from './checks/state-checks.js';
import { groups, type Check } from './codes.js';
import type { Observations } from './observations.js';

/** Judges what was seen. What one cause explains is found once. */
export function judge(seen: Observations): Check[] {
  const first = [
    ...addressChecks(seen),
    ...tokenChecks(seen),
    ...clockChecks(seen),
    ...switchChecks(seen),
    ...proxyChecks(seen),
    ...capacityChecks(seen),
    ...redisChecks(seen),
    ...actorChecks(seen),
    ...replicaChecks(seen),
  ];
  return [...first, ...messageChecks(seen, first)].sort(
    (a, b) => groups.indexOf(a.group) - groups.indexOf(b.group),
  );
}
