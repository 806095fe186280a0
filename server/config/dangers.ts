import { isIP } from 'node:net';
import { hardenedValues, presentValue, type HardenedSetting } from './hardened.js';
import { keptValues } from './kept-values.js';
import { hostsOf, redisAddressOf } from './redis-address.js';
import type { Settings } from './schema.js';

/** A setting that is dangerous on the internet. */
export interface Danger {
  readonly setting: string;
  readonly present: unknown;
  /** Its value in the profile `hardened`; undefined if that has none. */
  readonly hardened?: unknown;
  /** Whether a protection is off: otherwise a limit is only higher than in the profile. */
  readonly isOff: boolean;
  /** What an attacker gains from it. */
  readonly risk: string;
  /** What mends it. */
  readonly remedy: string;
}

/** Everything in a configuration that is weaker than the profile `hardened`, and unsafe addresses. */
export function dangersOf(settings: Settings): Danger[] {
  const dangerOf = (setting: HardenedSetting, isOff: boolean): Danger => ({
    setting: setting.name,
    present: presentValue(settings, setting.name),
    hardened: setting.value,
    isOff,
    risk: setting.risk,
    remedy: remedyOf(setting),
  });
  const weaker = hardenedValues
    .filter(({ isWeaker }) => isWeaker(settings))
    .map((setting) => {
      const present = presentValue(settings, setting.name);
      return dangerOf(setting, typeof present !== 'number' || present === 0);
    });
  const weakened = keptValues
    .filter(({ isWeaker }) => isWeaker(settings))
    .map((setting) => dangerOf(setting, setting.isOff(settings)));
  return [...weaker, ...weakened, ...redisDangers(settings)];
}

/** Whether the service can be reached from other machines. */
export function listensToOthers({ server: { host } }: Pick<Settings, 'server'>): boolean {
  return !isLoopback(host);
}

/** Settings that protect the more the higher they are. */
const raised = /_window_secs$|reserved_memory_percent$/;

/** Lists are different for every app. */
function remedyOf({ name, value }: HardenedSetting): string {
  if (name === 'websocket.allowed_origins')
    return `set ${name} to the origins of your pages: ["https://app.example"]`;
  if (name === 'permissions') return 'set permissions to what each role needs: docs/permissions.md';
  if (name === 'server.trusted_proxies') return `set ${name} to the addresses of your proxies, nothing else`;
  if (raised.test(name)) return `set ${name} to ${JSON.stringify(value)}, or higher`;
  return `set ${name} to ${JSON.stringify(value)}${typeof value === 'number' ? ', or lower but not 0' : ''}`;
}

function redisDangers({ redis }: Settings): Danger[] {
  const address = redisAddressOf(redis);
  if (address === undefined || hostsOf(address).every(({ host }) => isLoopback(host))) return [];
  const { isTls, password } = address;
  const setting = 'redis.url';
  const hosts = hostsOf(address).map(({ host }) => host);
  const present = `${isTls ? 'rediss' : 'redis'}://${hosts.join(',')}`;
  return [
    ...(password === undefined
      ? [
          {
            setting,
            present,
            isOff: true,
            risk: 'whoever reaches Redis may read and change everything',
            remedy: 'give it a password: redis.url = "rediss://user:password@host"',
          },
        ]
      : []),
    ...(!isTls
      ? [
          {
            setting,
            present,
            isOff: true,
            risk: 'the network between replica and Redis sees messages and the password',
            remedy: 'use TLS: redis.url = "rediss://…"',
          },
        ]
      : []),
  ];
}

function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '');
  if (address === 'localhost' || address === '::1') return true;
  return isIP(address) === 4 && address.startsWith('127.');
}
