import { usageError } from '../cli-error.js';
import { doctorCodes, groups, type Check, type DoctorCode, type Group } from './codes.js';
import { isCutOff } from './checks/replica-checks.js';
import { ofEachReplica, hides } from './hidden-groups.js';
import type { Observations } from './observations.js';

/** What is asked for: groups or codes. */
export interface Selection {
  readonly only: readonly string[];
  readonly skip: readonly string[];
}

/** What is reported of what was seen. */
export interface Selected {
  readonly checks: readonly Check[];
  /** What is asked for and was not looked at, without a finding that says why. */
  readonly notSeen: readonly string[];
}

const allCodes = Object.keys(doctorCodes) as DoctorCode[];

/** @throws CliError if a name is not known, or nothing is left */
export function assertSelection(selection: Selection): void {
  const known = new Set<string>([...groups, ...allCodes]);
  const unknown = [...selection.only, ...selection.skip].find((name) => !known.has(name));
  if (unknown !== undefined)
    throw usageError(
      `${unknown === '' ? 'an empty name' : unknown} is neither a group (${groups.join(', ')}) nor a code of docs/troubleshooting.md`,
    );
  if (wantedGroups(selection).size === 0)
    throw usageError(
      '--only and --skip leave nothing to look at',
      'name a group or a code in one of them only',
    );
}

/**
 * Leaves out what is not asked for. A finding that kept the doctor from looking at what is asked for is reported however it was selected: what
 * was not looked at is not well. A warning, or a replica that is down, which has only kept it from looking closely, can be skipped by
 * its name.
 */
export function select(all: readonly Check[], seen: Observations, selection: Selection): Selected {
  const { only, skip } = selection;
  const isSkipped = (check: Check) => isNamed(check, skip);
  const kept = new Set(
    all.filter((check) => (only.length === 0 || isNamed(check, only)) && !isSkipped(check)),
  );
  const notSeen: string[] = [];
  for (const group of wantedGroups(selection)) {
    const reasons = all.filter((check) => hides(check, group));
    if (!isLookedAt(group, all, seen)) {
      for (const reason of reasons) kept.add(reason);
      const hasFinding = all.some((check) => check.group === group && check.level !== 'ok');
      if (reasons.length === 0 && !hasFinding) notSeen.push(group);
    } else if (isLookedAtInPart(group, seen))
      for (const reason of reasons) if (!isSkipped(reason) || !canBeSkipped(reason)) kept.add(reason);
  }
  for (const name of only) {
    const need = needs[name as DoctorCode];
    if (seen.health !== null && need !== undefined && !need.isMet(seen) && !skip.includes(name))
      notSeen.push(`${name} (${need.hint})`);
  }
  return { checks: all.filter((check) => kept.has(check)), notSeen };
}

function isNamed({ group, code }: Check, names: readonly string[]): boolean {
  return names.includes(group) || (code !== null && names.includes(code));
}

function wantedGroups({ only, skip }: Selection): ReadonlySet<Group> {
  return new Set(
    allCodes.flatMap((code) => {
      const { group } = doctorCodes[code];
      const isAsked = only.length === 0 || only.includes(group) || only.includes(code);
      return isAsked && !skip.includes(group) && !skip.includes(code) ? [group] : [];
    }),
  );
}

function isLookedAt(group: Group, all: readonly Check[], { health, probe }: Observations): boolean {
  // Redis may have been looked at itself, but not as the service sees it.
  if (health === null) return group === 'address';
  if (group === 'messages') return probe !== null && probe.failures.length === 0;
  return all.some((check) => check.group === group);
}

/** Without an operator's token, or where what it reads does not get through; and where replicas are not seen. */
function isLookedAtInPart(group: Group, seen: Observations): boolean {
  const { admin, replicas } = seen;
  // Messages went between the others only.
  if (group === 'messages') return replicas.some(({ problem }) => problem !== null);
  if (admin === null) return ['switches', 'replicas', ...ofEachReplica].includes(group);
  return ofEachReplica.includes(group) && (isCutOff(seen) || (admin.silent_replicas ?? []).length > 0);
}

/** That a replica is down may be known, and meant. */
function canBeSkipped({ level, code }: Check): boolean {
  return level === 'warning' || code === 'RTC-REPLICA-01';
}

interface Need {
  readonly isMet: (seen: Observations) => boolean;
  readonly hint: string;
}

const idle: Need = { isMet: (seen) => seen.idle !== null, hint: 'looked at with --idle' };
const direct: Need = { isMet: (seen) => Boolean(seen.redis), hint: 'looked at with --redis' };

/** Codes that are found only where something more was looked at than usual. */
const needs: Partial<Record<DoctorCode, Need>> = {
  'RTC-PROXY-02': idle,
  'RTC-PROXY-04': idle,
  'RTC-PROXY-03': { isMet: (seen) => seen.polling !== null, hint: 'the client could not try it' },
  'RTC-REDIS-05': direct,
  'RTC-REDIS-06': direct,
  'RTC-REDIS-07': direct,
  'RTC-REDIS-09': direct,
};
