import type { QuotaUse, UserQuotaStore } from '../../limits/user-quota-store.js';
import { RedisScript } from './redis-script.js';
import type { RedisStore } from './redis-store.js';

/** The use of quotas in Redis, see `lua/user-quota.lua`. */
export class RedisUserQuotaStore implements UserQuotaStore {
  private readonly script = new RedisScript('user-quota');

  constructor(
    private readonly link: RedisStore,
    private readonly settings: { readonly keyPrefix: string },
  ) {}

  async add(quota: string, userId: string, amount: number, windowMs: number): Promise<QuotaUse> {
    const key = `${this.settings.keyPrefix}:quota:${quota}:{${userId}}`;
    const args = [String(windowMs), String(Math.ceil(amount))];
    const reply = await this.script.run<[number, number, number]>(this.link, [key], args);
    const [current, previous, ageMs] = reply;
    return { current, previous, ageMs };
  }
}
