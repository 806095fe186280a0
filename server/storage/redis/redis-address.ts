import type { Log } from '../../logging/log.js';
import { withTimeout } from '../../primitives/with-timeout.js';
import { destroy, newRedisClient, type RedisClient } from './redis-client.js';

interface RedisAddressDependencies {
  readonly log: Log;
  /** Whether to look now. */
  readonly isWanted: () => boolean;
  /** Looks at the Redis that has answered. */
  readonly look: (call: (args: string[]) => Promise<unknown>) => Promise<void>;
}

const lookMs = 2000;
const answerLimitMs = 2000;

/**
 * Opens a connection to the address of Redis from time to time: an open one stays with an old primary, also when the
 * address has led to the new one for long.
 */
export class RedisAddress {
  private timer: NodeJS.Timeout | undefined;
  private client: RedisClient | undefined;

  constructor(
    private readonly dependencies: RedisAddressDependencies,
    private readonly settings: { readonly url: string },
  ) {}

  start(): void {
    this.timer = setInterval(() => void this.visit(), lookMs);
    this.timer.unref();
  }

  close(): void {
    clearInterval(this.timer);
    if (this.client !== undefined) destroy(this.client);
  }

  /** Never rejects: an address that does not answer is no news while the open connections do. */
  private async visit(): Promise<void> {
    const { isWanted, look, log } = this.dependencies;
    if (this.client !== undefined || !isWanted()) return;
    const client = newRedisClient(this.settings.url);
    this.client = client;
    client.on('error', () => {});
    try {
      await withTimeout(client.connect(), answerLimitMs);
      await withTimeout(
        look((args) => client.sendCommand(args)),
        answerLimitMs,
      );
    } catch (error) {
      log.debug('Address of Redis not looked at', { error });
    } finally {
      this.client = undefined;
      destroy(client);
    }
  }
}
