import { createClient } from 'redis';

/**
 * A client with one connection. It reconnects for ever, never queues a command that cannot be sent, and
 * leaves time limits to its owner. It uses RESP 2, because a subscription then has its own connection.
 */
export function newRedisClient(url: string) {
  return createClient({
    url,
    RESP: 2,
    commandOptions: { timeout: 0 },
    disableOfflineQueue: true,
    commandsQueueMaxLength: queueMax,
    socket: {
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

/** Closes the connection; unanswered commands reject. */
export function destroy(client: RedisClient): void {
  try {
    if (client.isOpen) client.destroy();
  } catch {
    // The connection is closed already.
  }
}
