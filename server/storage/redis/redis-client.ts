import { createClient } from 'redis';
import type { RedisHost, RedisUser } from '../../config/redis-url.js';
import type { RedisTls } from './redis-tls.js';

/** How a connection is opened. */
export interface RedisAccess extends RedisUser {
  /** Undefined: without TLS. */
  readonly tls?: RedisTls | undefined;
  readonly database?: number;
}

/**
 * A client with one connection. It reconnects for ever, never queues a command that cannot be sent, and
 * leaves time limits to its owner. It uses RESP 2, because a subscription then has its own connection.
 */
export function newRedisClient({ host, port }: RedisHost, access: RedisAccess = {}) {
  const { username, password, database, tls } = access;
  return createClient({
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    RESP: 2,
    commandOptions: { timeout: 0 },
    // A user of Redis with few rights may not set it.
    disableClientInfo: true,
    disableOfflineQueue: true,
    commandsQueueMaxLength: queueMax,
    socket: {
      host,
      port,
      ...(tls !== undefined && { tls: true, ...tls }),
      connectTimeout: 5000,
      // Short at first, so that a restart causes little delay; jitter spreads the replicas.
      reconnectStrategy: (attempt: number) =>
        Math.min(2000, 50 * 2 ** Math.min(attempt, 6)) * (0.5 + Math.random() / 2),
    },
  });
}

export type RedisClient = ReturnType<typeof newRedisClient>;

/**
 * A connection attempt without any event for this long hangs: it is longer than every timeout and every pause
 * between attempts.
 */
export const connectLimitMs = 10_000;

/**
 * Commands that may be unanswered on one connection: far more than a replica sends before it detects a stall.
 */
const queueMax = 50_000;

/** Closes the connection, also one that is just being opened; unanswered commands reject. */
export function destroy(client: RedisClient): void {
  // The library does not end a connection that is not open yet: it would stay for ever, and keep the process alive.
  client.once('connect', () => client.destroy());
  try {
    if (client.isOpen) client.destroy();
  } catch {
    // The connection is closed already.
  }
}
