import { explainsRefusals } from './checks/explaining.js';
import { groups, type Check, type DoctorCode, type Group } from './codes.js';

/** Looked at with the token of an operator. */
const ofOperator = ['switches', 'capacity', 'redis', 'actors', 'replicas'] as const;
/** Looked at as a client. */
const ofClient = ['proxy', 'messages'] as const;
/** Looked at on each replica. */
export const ofEachReplica: readonly Group[] = ['capacity', 'actors'];
const ofRedis: readonly Group[] = ['token', 'switches', 'proxy', 'messages', 'replicas', ...ofEachReplica];

/** What cannot be looked at, or fails too, because of a finding: by its code. */
const hiddenBy: Partial<Record<DoctorCode, readonly Group[]>> = {
  'RTC-ADDRESS-01': groups,
  'RTC-ADDRESS-02': groups,
  'RTC-ADDRESS-03': groups,
  'RTC-ADDRESS-04': groups,
  'RTC-ADDRESS-06': groups,
  'RTC-TOKEN-01': [...ofClient, ...ofOperator],
  'RTC-TOKEN-02': [...ofClient, ...ofOperator],
  'RTC-TOKEN-03': [...ofClient, ...ofOperator],
  'RTC-TOKEN-04': [...ofClient, ...ofOperator],
  'RTC-TOKEN-05': [...ofClient, ...ofOperator],
  'RTC-TOKEN-06': [...ofClient, ...ofOperator],
  'RTC-TOKEN-07': [...ofClient, ...ofOperator],
  'RTC-TOKEN-08': [...ofClient, ...ofOperator],
  'RTC-TOKEN-09': ofOperator,
  'RTC-TOKEN-10': ['messages'],
  'RTC-CLOCK-01': ['token', ...ofClient, ...ofOperator],
  'RTC-SWITCH-01': ['messages'],
  'RTC-SWITCH-02': ofClient,
  'RTC-SWITCH-04': ['messages'],
  'RTC-PROXY-01': ofClient,
  'RTC-PROXY-05': ['token', ...ofClient, ...ofOperator],
  'RTC-PROXY-06': ['token', ...ofClient, ...ofOperator],
  'RTC-CAPACITY-01': ofClient,
  'RTC-CAPACITY-03': groups,
  'RTC-LIMIT-01': ['messages'],
  'RTC-LIMIT-02': ['token', ...ofClient, ...ofOperator],
  'RTC-MESSAGES-01': ['token', ...ofClient, ...ofOperator],
  'RTC-REPLICA-01': [...ofEachReplica, 'messages'],
  'RTC-REPLICA-02': ['messages'],
};

/** Whether a finding can be the reason that a group was not looked at, or that what is in it fails. */
export function hides(finding: Check, group: Group): boolean {
  const { code } = finding;
  if (code === null) return false;
  return (explainsRefusals(finding) ? ofRedis : (hiddenBy[code] ?? [])).includes(group);
}
