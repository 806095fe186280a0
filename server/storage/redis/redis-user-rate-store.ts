import type { Grant, UserRateStore } from '../../limits/user-rate-store.js';
import { RedisScript } from './redis-script.js';
import type { RedisStore } from './redis-store.js';

/** The rate windows of users in Redis, see `lua/user-rate.lua`: a grant costs one round trip. */
export class RedisUserRateStore implements UserRateStore {
  private readonly script = new RedisScript('user-rate');

  constructor(
    private readonly link: RedisStore,
    private readonly settings: { readonly keyPrefix: string },
  ) {}

  async take(userId: string, ratePerSec: number, want: number): Promise<Grant> {
    const key = `${this.settings.keyPrefix}:rate:{${userId}}`;
    const args = [String(ratePerSec), String(want)];
    const [granted, retryAfterMs] = await this.script.run<[number, number]>(this.link, [key], args);
    return { granted, retryAfterMs };
  }
}
