import { isIP } from 'node:net';
import { hardenedValues, presentValue, type HardenedSetting } from './hardened.js';
import type { Settings } from './schema.js';

/** A setting that is dangerous on the internet. */
export interface Danger {
  readonly setting: string;
  readonly present: unknown;
  /** What an attacker gains from it. */
  readonly risk: string;
  /** What mends it. */
  readonly remedy: string;
}

/** Everything in a configuration that is weaker than the profile `hardened`, and unsafe addresses. */
export function dangersOf(settings: Settings): Danger[] {
  const weaker = hardenedValues
    .filter(({ isWeaker }) => isWeaker(settings))
    .map((setting) => ({
      setting: setting.name,
      present: presentValue(settings, setting.name),
      risk: setting.risk,
      remedy: remedyOf(setting),
    }));
  return [...weaker, ...redisDangers(settings)];
}

/** Whether the service can be reached from other machines. */
export function listensToOthers({ server: { host } }: Pick<Settings, 'server'>): boolean {
  return !isLoopback(host);
}

/** Lists are different for every app. */
function remedyOf({ name, value }: HardenedSetting): string {
  if (name === 'websocket.allowed_origins')
    return `set ${name} to the origins of your pages: ["https://app.example"]`;
  if (name === 'permissions') return 'set permissions to what each role needs: docs/permissions.md';
  return `set ${name} to ${JSON.stringify(value)}${typeof value === 'number' ? ', or lower but not 0' : ''}`;
}

function redisDangers({ redis: { url } }: Settings): Danger[] {
  if (url === undefined) return [];
  const { protocol, hostname, password } = new URL(url);
  if (isLoopback(hostname)) return [];
  const setting = 'redis.url';
  const present = `${protocol}//${hostname}`;
  return [
    ...(password === ''
      ? [
          {
            setting,
            present,
            risk: 'whoever reaches Redis may read and change everything',
            remedy: 'give it a password: redis.url = "rediss://user:password@host"',
          },
        ]
      : []),
    ...(protocol === 'redis:'
      ? [
          {
            setting,
            present,
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
