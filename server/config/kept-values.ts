import { isIP } from 'node:net';
import { hardenedValues, limit, presentValue, type HardenedSetting } from './hardened.js';
import type { Settings } from './schema.js';
import { settingList } from './setting-list.js';

/** A setting whose default is fit for the internet: the profile `hardened` does not change it, but somebody may. */
interface KeptSetting extends HardenedSetting {
  /** Whether the protection is off, or as good as off. */
  readonly isOff: (settings: Settings) => boolean;
}

/** Clocks of servers differ by less. */
const longestLeewaySecs = 300;
/** Networks with fewer bits than this are a large part of the internet. */
const fewestBits = { 4: 8, 6: 16 } as const;
/** This many times as much as in the profile in the same time is as good as no limit. */
const offFactor = 10;

/** What {@link import('./hardened.js').hardenedValues} does not list because its default is kept. */
export const keptValues: readonly KeptSetting[] = [
  {
    name: 'server.trusted_proxies',
    value: ['loopback'],
    isWeaker: trustsTheInternet,
    isOff: trustsTheInternet,
    risk: 'every client is a trusted proxy, and chooses its address by X-Forwarded-For: the limits by address and the audit log are worth nothing',
  },
  keptLimit('server.max_tcp_connections', 'connections use up the memory and the files of a replica'),
  keptLimit('websocket.handshakes_per_sec', 'a wave of connects keeps a replica from its other work'),
  keptLimit('websocket.max_unjoined', 'clients without a token use up the memory of a replica'),
  keptLimit('limits.abuse_refusals', 'a client that is refused again and again stays connected'),
  keptLimit(
    'limits.waste_packets_per_sec',
    'one connection can keep a replica busy with packets without use',
  ),
  keptLimit(
    'limits.http_bodies_bytes',
    'unfinished request bodies and messages use up the memory of a replica',
  ),
  windowOf(
    'limits.user_quota_window_secs',
    ['limits.user_stored_bytes', 'limits.user_new_topics'],
    'the quotas of a user begin anew so often that they mean nothing',
  ),
  windowOf(
    'limits.http_window_secs',
    ['limits.http_requests', 'limits.admin_requests'],
    'the limits of requests begin anew so often that they mean nothing',
  ),
  kept(
    'redis.reserved_memory_percent',
    'publishes can fill Redis, so that revocations and changes of operators are not stored',
    {
      isWeaker: (present, value) => present < value,
      isOff: (present) => present === 0,
    },
  ),
  kept('direct.inbox_sender_percent', 'one user can fill the inbox of another', {
    isWeaker: (present, value) => present > value,
    isOff: (present) => present === 100,
  }),
  {
    name: 'topics.idempotency_scope',
    value: 'sender',
    isWeaker: ({ topics }) => topics.idempotencyScope !== 'sender',
    isOff: ({ topics }) => topics.idempotencyScope !== 'sender',
    risk: 'a sender can take a key away from others, whose messages are then lost as repetitions',
  },
  kept('auth.leeway_secs', 'a token that has expired is good for long', {
    isWeaker: (present) => present > longestLeewaySecs,
    isOff: (present) => present > longestLeewaySecs,
  }),
];

interface Comparison {
  readonly isWeaker: (present: number, value: number) => boolean;
  readonly isOff: (present: number) => boolean;
}

/** A number that keeps its default. */
function kept(name: string, risk: string, { isWeaker, isOff }: Comparison): KeptSetting {
  const value = defaultOf(name);
  const present = (settings: Settings) => presentValue(settings, name) as number;
  return {
    name,
    value,
    risk,
    isWeaker: (settings) => isWeaker(present(settings), value),
    isOff: (settings) => isOff(present(settings)),
  };
}

function keptLimit(name: string, risk: string): KeptSetting {
  return { ...limit(name, defaultOf(name), risk), isOff: (settings) => presentValue(settings, name) === 0 };
}

/** The time of limits: a shorter one is a higher rate, unless the limits are lower too. */
function windowOf(name: string, limits: readonly string[], risk: string): KeptSetting {
  const value = defaultOf(name);
  const isAbove = (settings: Settings, factor: number) => {
    const window = presentValue(settings, name) as number;
    if (window >= value) return false;
    return limits.some((each) => {
      const hardened = hardenedValues.find((setting) => setting.name === each)!.value as number;
      return (presentValue(settings, each) as number) / window > (factor * hardened) / value;
    });
  };
  return {
    name,
    value,
    risk,
    isWeaker: (settings) => isAbove(settings, 1),
    isOff: (settings) => isAbove(settings, offFactor),
  };
}

function defaultOf(name: string): number {
  return settingList.find((setting) => setting.name === name)!.default as number;
}

function trustsTheInternet({ server }: Settings): boolean {
  return server.trustedProxies.some((network) => {
    const [address = '', bits] = network.split('/');
    const family = isIP(address);
    return (family === 4 || family === 6) && bits !== undefined && Number(bits) < fewestBits[family];
  });
}
