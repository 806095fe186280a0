import { camelCase } from './camel-case.js';
import type { Settings } from './schema.js';

/** One setting of the profile `hardened`. */
export interface HardenedSetting {
  /** `limits.user_rps` */
  readonly name: string;
  /** Its default in the profile. */
  readonly value: unknown;
  /** Whether a configuration is weaker than the profile here. */
  readonly isWeaker: (settings: Settings) => boolean;
  /** What an attacker gains from it. */
  readonly risk: string;
}

/** A setting whose number is a limit, and 0 for none. */
export function limit(name: string, value: number, risk: string): HardenedSetting {
  const isWeaker = (settings: Settings) => {
    const present = presentValue(settings, name);
    return typeof present !== 'number' || present === 0 || present > value;
  };
  return { name, value, isWeaker, risk };
}

/** The value of a setting by its name in the file. */
export function presentValue(settings: Settings, name: string): unknown {
  const [section = '', key] = name.split('.').map(camelCase);
  const table = (settings as unknown as Readonly<Record<string, unknown>>)[section];
  return key === undefined ? table : (table as Readonly<Record<string, unknown>>)[key];
}

/** What one user may publish, store and create. All of them are off by default. */
export const userQuotas: readonly string[] = [
  'limits.connection_bytes_per_sec',
  'limits.user_bytes_per_sec',
  'limits.user_stored_bytes',
  'limits.user_new_topics',
];

/** Actions on topics. `direct` is about users. */
const topicActions = ['subscribe', 'publish', 'history', 'presence'] as const;

/** Whether a pattern names no topic in particular: `*`, `**`, `*.*`. */
function matchesEverything(pattern: string): boolean {
  return pattern.includes('*') && !/[\p{L}\p{N}]/u.test(pattern);
}

/** The profile `hardened`: what is fit for the internet, where the standard default is not. */
export const hardenedValues: readonly HardenedSetting[] = [
  {
    name: 'server.environment',
    value: 'production',
    isWeaker: ({ server }) => server.environment !== 'production',
    risk: 'a missing secret is replaced by one for the run, and short secrets are accepted',
  },
  {
    name: 'server.metrics_access',
    value: 'token',
    isWeaker: ({ server }) => server.metricsAccess === 'open',
    risk: 'everybody can read /metrics: load, versions, names of replicas',
  },
  {
    name: 'websocket.allowed_origins',
    value: [],
    isWeaker: ({ websocket }) => websocket.allowedOrigins.includes('*'),
    risk: 'pages of any web site may connect',
  },
  {
    name: 'permissions',
    value: [],
    isWeaker: ({ permissions }) =>
      permissions.some(
        ({ role, topics, allow }) =>
          role === '*' &&
          topics.some(matchesEverything) &&
          topicActions.some((action) => allow.includes(action)),
      ),
    risk: 'every user with a valid token may use every topic',
  },
  {
    name: 'auth.require_exp',
    value: 'on',
    isWeaker: ({ auth }) => auth.requireExp !== 'on',
    risk: 'a token without expiry that leaks is good for ever',
  },
  limit('auth.max_token_ttl_secs', 86_400, 'a token that leaks is good until it expires, however late'),
  limit('websocket.max_connections', 20_000, 'connections use up the memory of a replica'),
  limit('websocket.max_connections_per_user', 50, 'one user can hold all connections'),
  limit('websocket.max_connections_per_address', 500, 'one address can hold all connections'),
  limit('limits.address_connects_per_sec', 50, 'one address can use up all handshakes'),
  limit('limits.connection_rps', 100, 'one connection can keep a replica busy with commands'),
  limit('limits.user_rps', 300, 'one user can keep the replicas busy with commands'),
  {
    name: 'limits.untrusted_forwarders',
    value: 'limit',
    isWeaker: ({ limits }) => limits.untrustedForwarders !== 'limit',
    risk: 'a client that sends X-Forwarded-For gets around the limits by address',
  },
  limit(
    'limits.connection_bytes_per_sec',
    500_000,
    'one connection can keep a replica busy with large messages',
  ),
  limit('limits.user_bytes_per_sec', 1_000_000, 'one user can keep the replicas busy with large messages'),
  limit('limits.user_stored_bytes', 50_000_000, 'one user can fill the histories, and the memory of Redis'),
  limit('limits.user_new_topics', 1000, 'one user can fill the memory with topics'),
  limit('sessions.max_per_user', 500, 'one user can fill the memory of Redis with sessions'),
  limit(
    'sessions.max_bytes_per_user',
    4_194_304,
    'one user can fill the memory of Redis with large sessions',
  ),
  limit('limits.http_requests', 6000, 'one caller can keep a replica busy with requests to /api'),
  limit('limits.admin_requests', 6000, 'one caller can keep a replica busy with requests to /admin'),
];
