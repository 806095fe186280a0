import { createHash } from 'node:crypto';
import { camelCase } from './camel-case.js';
import { publicSettings } from './describe.js';
import type { Settings } from './schema.js';
import { settingList } from './setting-list.js';

/** Sections and settings that may differ between replicas. */
const ownOfReplica = new Set([
  ...['server', 'logging', 'tracing', 'admin.alert_webhook_url'],
  // How a replica gets to Redis. That they get to different ones is noticed otherwise: they do not see each other.
  ...['redis.url', 'redis.sentinels', 'redis.tls_ca_file', 'redis.tls_cert_file', 'redis.tls_key_file'],
]);
/** Longer values are compared by their fingerprint. */
const shownLength = 60;

/**
 * The settings that should be the same on all replicas, as text. Of the token secret only a fingerprint is given,
 * which is too short to find the secret by it.
 *
 * @param secret the token secret in force, also if it was generated for this run
 */
export function sharedSettings(settings: Settings, secret: string | undefined): Record<string, string> {
  const shown = publicSettings(settings) as Record<string, unknown>;
  const shared: Record<string, string> = {};
  for (const { name, section, key } of settingList) {
    if (ownOfReplica.has(section) || ownOfReplica.has(name)) continue;
    const group = shown[camelCase(section)];
    const value = key === undefined ? group : (group as Record<string, unknown>)[camelCase(key)];
    const text = JSON.stringify(value ?? null);
    shared[name] = text.length > shownLength ? fingerprint(text) : text;
  }
  shared['auth.jwt_secret'] = secret === undefined ? 'null' : fingerprint(secret);
  return shared;
}

function fingerprint(text: string): string {
  return `#${createHash('sha256').update(`setting ${text}`).digest('hex').slice(0, 4)}`;
}
