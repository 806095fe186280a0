import { clockChecks, tokenChecks } from './checks/access-checks.js';
import { addressChecks } from './checks/address-checks.js';
import { messageChecks, proxyChecks } from './checks/path-checks.js';
import { redisChecks } from './checks/redis-checks.js';
import { replicaChecks } from './checks/replica-checks.js';
import { actorChecks, capacityChecks, switchChecks } from './checks/state-checks.js';
import { groups, type Check, type DoctorCode } from './codes.js';
import type { Observations } from './observations.js';

/** What to judge: groups or codes. */
export interface Selection {
  readonly only: readonly string[];
  readonly skip: readonly string[];
}

/** Judges what was seen. What one cause explains is found once. */
export function judge(seen: Observations, { only, skip }: Selection): Check[] {
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
  const known = new Set<DoctorCode>(first.flatMap(({ code }) => code ?? []));
  const all = [...first, ...messageChecks(seen, known)];
  const isNamed = ({ group, code }: Check, names: readonly string[]) =>
    names.includes(group) || (code !== null && names.includes(code));
  return all
    .filter((check) => (only.length === 0 || isNamed(check, only)) && !isNamed(check, skip))
    .sort((a, b) => groups.indexOf(a.group) - groups.indexOf(b.group));
}
