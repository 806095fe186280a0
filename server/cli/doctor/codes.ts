/** Groups of findings, in the order of the report. */
export const groups = [
  'address',
  'token',
  'clock',
  'switches',
  'proxy',
  'capacity',
  'messages',
  'redis',
  'actors',
  'replicas',
] as const;
export type Group = (typeof groups)[number];

interface CodeMeaning {
  readonly group: Group;
  /** The heading in docs/troubleshooting.md. */
  readonly title: string;
}

/** What `rtc doctor` can find. A code means the same for ever; each is a heading of docs/troubleshooting.md. */
export const doctorCodes = {
  'RTC-ADDRESS-01': { group: 'address', title: 'the host name is not known' },
  'RTC-ADDRESS-02': { group: 'address', title: 'the address does not answer' },
  'RTC-ADDRESS-03': { group: 'address', title: 'something else answers' },
  'RTC-ADDRESS-04': { group: 'address', title: 'the certificate is not valid' },
  'RTC-ADDRESS-05': { group: 'address', title: 'the certificate expires soon' },
  'RTC-ADDRESS-06': { group: 'address', title: 'the replica is starting or stopping' },
  'RTC-TOKEN-01': { group: 'token', title: 'there is no token, or it is no JWT' },
  'RTC-TOKEN-02': { group: 'token', title: 'the token has expired' },
  'RTC-TOKEN-03': { group: 'token', title: 'the token is signed with another secret' },
  'RTC-TOKEN-04': { group: 'token', title: 'the algorithm or key of the token is not known' },
  'RTC-TOKEN-05': { group: 'token', title: 'the token was issued in the future' },
  'RTC-TOKEN-06': { group: 'token', title: 'the token is for another audience, or from another issuer' },
  'RTC-TOKEN-07': { group: 'token', title: 'the token is revoked' },
  'RTC-TOKEN-08': { group: 'token', title: 'a claim of the token is refused' },
  'RTC-TOKEN-09': { group: 'token', title: 'the token is not that of an operator' },
  'RTC-TOKEN-10': { group: 'token', title: 'the token may not use the topic of the doctor' },
  'RTC-CLOCK-01': { group: 'clock', title: 'the clocks differ' },
  'RTC-SWITCH-01': { group: 'switches', title: 'the mode is read-only or maintenance' },
  'RTC-SWITCH-02': { group: 'switches', title: 'new connections are switched off' },
  'RTC-SWITCH-03': { group: 'switches', title: 'presence is switched off' },
  'RTC-SWITCH-04': { group: 'switches', title: 'topics are frozen' },
  'RTC-SWITCH-05': { group: 'switches', title: 'the rates are not those of the settings' },
  'RTC-PROXY-01': { group: 'proxy', title: 'a proxy removes the upgrade' },
  'RTC-PROXY-02': { group: 'proxy', title: 'a proxy closes idle connections' },
  'RTC-PROXY-03': { group: 'proxy', title: 'a balancer does not keep a client on one replica' },
  'RTC-PROXY-04': { group: 'proxy', title: 'heartbeats do not arrive' },
  'RTC-PROXY-05': { group: 'proxy', title: 'a path does not get through' },
  'RTC-PROXY-06': { group: 'proxy', title: 'a proxy removes the token' },
  'RTC-CAPACITY-01': { group: 'capacity', title: 'the replica is at capacity' },
  'RTC-CAPACITY-02': { group: 'capacity', title: 'the replica is nearly at capacity' },
  'RTC-CAPACITY-03': { group: 'capacity', title: 'the event loop is blocked' },
  'RTC-CAPACITY-04': { group: 'capacity', title: 'clients read too slowly' },
  'RTC-CAPACITY-05': { group: 'capacity', title: 'file descriptors run out' },
  'RTC-CAPACITY-06': { group: 'capacity', title: 'memory runs out' },
  'RTC-LIMIT-01': { group: 'messages', title: 'messages may be very small only' },
  'RTC-LIMIT-02': { group: 'messages', title: 'the doctor is refused by a rate or a quota' },
  'RTC-MESSAGES-01': { group: 'messages', title: 'messages are refused' },
  'RTC-MESSAGES-02': { group: 'messages', title: 'messages do not arrive' },
  'RTC-MESSAGES-03': { group: 'messages', title: 'messages arrive out of order' },
  'RTC-MESSAGES-04': { group: 'messages', title: 'messages arrive late' },
  'RTC-REDIS-01': { group: 'redis', title: 'Redis is unavailable' },
  'RTC-REDIS-02': { group: 'redis', title: 'Redis refuses writes' },
  'RTC-REDIS-03': { group: 'redis', title: 'Redis runs out of memory' },
  'RTC-REDIS-04': { group: 'redis', title: 'Redis may delete data' },
  'RTC-REDIS-05': { group: 'redis', title: 'Redis is slow' },
  'RTC-REDIS-06': { group: 'redis', title: 'Redis loses its data when it restarts' },
  'RTC-REDIS-07': { group: 'redis', title: 'a failover of Redis loses messages' },
  'RTC-REDIS-08': { group: 'redis', title: 'the user of Redis lacks rights' },
  'RTC-REDIS-09': { group: 'redis', title: 'the version or the buffers of Redis do not suit' },
  'RTC-ACTOR-01': { group: 'actors', title: 'an actor is stopped' },
  'RTC-ACTOR-02': { group: 'actors', title: 'a mailbox is nearly full' },
  'RTC-ALERT-01': { group: 'actors', title: 'an alert was raised' },
  'RTC-REPLICA-01': { group: 'replicas', title: 'a replica does not answer' },
  'RTC-REPLICA-02': { group: 'replicas', title: 'replicas differ' },
} as const satisfies Readonly<Record<string, CodeMeaning>>;

export type DoctorCode = keyof typeof doctorCodes;

/** The result of one look. */
export interface Check {
  readonly group: Group;
  readonly level: 'ok' | 'warning' | 'failure';
  /** Null: all is well. */
  readonly code: DoctorCode | null;
  /** The cause, or what is well. */
  readonly text: string;
  /** A command, or a setting. Null: all is well. */
  readonly remedy: string | null;
}

export function well(group: Group, text: string): Check {
  return { group, level: 'ok', code: null, text, remedy: null };
}

export function warning(code: DoctorCode, text: string, remedy: string): Check {
  return { group: doctorCodes[code].group, level: 'warning', code, text, remedy };
}

export function failure(code: DoctorCode, text: string, remedy: string): Check {
  return { ...warning(code, text, remedy), level: 'failure' };
}

/** The service has refused the doctor by a rate or a quota. */
export function rateLimited({ code, message }: { readonly code: string; readonly message: string }): Check {
  return warning('RTC-LIMIT-02', `${code}: ${message}`, 'curl $RTC/metrics | jq .rate_limit_stats');
}
