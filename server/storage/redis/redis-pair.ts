import { randomBytes } from 'node:crypto';
import type { Log } from '../../logging/log.js';
import type { RedisClient } from './redis-client.js';
import type { RedisSubscriber } from './redis-subscriber.js';

interface RedisPairDependencies {
  readonly log: Log;
  readonly subscriber: RedisSubscriber;
  /** Called when the two connections lead to different Redis. */
  readonly leave: () => void;
}

/**
 * Checks that the connection for commands and the one for subscriptions lead to the same Redis: after a failover one of
 * them may still lead to the old primary. Messages that are stored in one Redis are published in no other.
 */
export class RedisPair {
  private readonly channel: string;
  private misses = 0;
  private logged = false;

  constructor(
    private readonly dependencies: RedisPairDependencies,
    settings: { readonly keyPrefix: string },
  ) {
    this.channel = `${settings.keyPrefix}:link:${randomBytes(9).toString('base64url')}`;
  }

  start(): void {
    // A subscription that fails now is made with the connection.
    this.dependencies.subscriber.subscribe(this.channel, () => {}).catch(() => {});
  }

  /** Never rejects. To be called about once a second, with the connection for commands. */
  async check(commands: RedisClient): Promise<void> {
    const { subscriber, log, leave } = this.dependencies;
    if (!subscriber.live) {
      this.misses = 0;
      return;
    }
    // An ACL may not allow it: then nothing is known.
    const reply = await commands.sendCommand(['PUBSUB', 'NUMSUB', this.channel]).catch(() => undefined);
    const isApart = Array.isArray(reply) && Number(reply[1]) === 0 && subscriber.live;
    this.misses = isApart ? this.misses + 1 : 0;
    if (reply !== undefined && !isApart) this.logged = false;
    // Redis may be about to close the connection.
    if (this.misses < 2) return;
    this.misses = 0;
    if (!this.logged)
      log.error('The two connections of this replica lead to different Redis: they are made anew', {
        remedy: 'let REDIS_URL lead to one primary only',
      });
    this.logged = true;
    leave();
  }
}
