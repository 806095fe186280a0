import { createClient } from 'redis';

/**
 * A client of one connection: it reconnects for ever, never queues what cannot be sent now, and leaves time-outs to its owner. RESP 2,
 * because a subscription then has a connection of its own.
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
      // Short at first, so that a restart is hardly noticed; jitter keeps replicas apart.
      reconnectStrategy: (attempt: number) =>
        Math.min(2000, 50 * 2 ** Math.min(attempt, 6)) * (0.5 + Math.random() / 2),
    },
  });
}

export type RedisClient = ReturnType<typeof newRedisClient>;

/** An attempt to connect that has not told anything for this long hangs: longer than any time-out and pause between attempts. */
export const connectLimitMs = 10_000;

/** Commands that may wait for Redis on one connection; far more than a replica sends before it notices a stall. */
const queueMax = 50_000;

/** Closes the connection; what is under way on it rejects. */
export function destroy(client: RedisClient): void {
  try {
    if (client.isOpen) client.destroy();
  } catch {
    // Closed already.
  }
}
