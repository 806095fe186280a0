import { parseRedisUrl } from '../../config/redis-url.js';

/**
 * What the names of channels have behind the prefix: channels are shared by all databases of a Redis, keys are not. Two
 * services in two databases would receive each other's messages. Database 0 has nothing, as in version 0.1.
 */
export function databaseMark(url: string | undefined): string {
  if (url === undefined) return '';
  const { database = 0 } = parseRedisUrl(url) ?? {};
  return database > 0 ? `:db${database}` : '';
}
