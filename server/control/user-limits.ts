import { RefusalError } from '../../shared/errors.js';
import { RecordEnds } from '../cluster/record-ends.js';
import type { ReplicatedMap } from '../cluster/replicated-map.js';
import type { Clock, Timer } from '../primitives/clock.js';

/** A limit that an operator has set for the commands of one user, until a time. */
export interface UserLimit {
  readonly userId: string;
  readonly commandsPerSec: number;
  /** Milliseconds since 1970. */
  readonly until: number;
  readonly by: string;
  readonly at: number;
  readonly reason?: string;
}

interface UserLimitsDependencies {
  /** The map of the runtime control. */
  readonly map: ReplicatedMap;
  readonly clock: Pick<Clock, 'now' | 'wallTime' | 'setInterval' | 'clearTimer'>;
}

/** At most this many limits at the same time. */
export const userLimitsMax = 100;

const prefix = 'user_limit:';
const sweepMs = 30_000;

/** Limits for single users, the same on all replicas. Each ends by itself, by the clock of the replica. */
export class UserLimits {
  private readonly byUser = new Map<string, UserLimit>();
  private readonly ends: RecordEnds;
  private readonly timer: Timer;

  constructor(private readonly dependencies: UserLimitsDependencies) {
    const { map, clock } = dependencies;
    this.ends = new RecordEnds(clock);
    for (const [field, value] of map.entries()) this.take(field, value);
    map.onChange((field, value) => this.take(field, value));
    this.timer = clock.setInterval(() => void this.sweep(), sweepMs);
    this.timer.unref();
  }

  /** Commands per second of a user; undefined: there is no limit of its own. Called for each command. */
  rateOf(userId: string): number | undefined {
    if (this.byUser.size === 0) return undefined;
    const limit = this.byUser.get(userId);
    return limit !== undefined && limit.until > this.dependencies.clock.wallTime()
      ? limit.commandsPerSec
      : undefined;
  }

  /** In the order in which they were set. */
  list(): UserLimit[] {
    const now = this.dependencies.clock.wallTime();
    return [...this.byUser.values()]
      .filter(({ until }) => until > now)
      .sort((one, other) => one.at - other.at);
  }

  /** @throws RefusalError `conflict` if there are too many; `unavailable` while the store is unreachable */
  async set({ userId, ...limit }: UserLimit): Promise<void> {
    if (!this.byUser.has(userId) && this.list().length >= userLimitsMax)
      throw new RefusalError('conflict', `there are limits for ${userLimitsMax} users; delete one first`, {
        limit: userLimitsMax,
      });
    const { commandsPerSec, until, ...who } = limit;
    await this.dependencies.map.set({
      [prefix + userId]: JSON.stringify({ value: { commands_per_sec: commandsPerSec, until }, ...who }),
    });
  }

  /** False if there was none. @throws RefusalError `unavailable` while the store is unreachable */
  async delete(userId: string): Promise<boolean> {
    if (!this.byUser.has(userId)) return false;
    await this.dependencies.map.set({ [prefix + userId]: undefined });
    return true;
  }

  close(): void {
    this.dependencies.clock.clearTimer(this.timer);
  }

  private take(field: string, text: string | undefined): void {
    if (!field.startsWith(prefix)) return;
    const userId = field.slice(prefix.length);
    const limit = text === undefined ? undefined : parse(userId, text);
    if (limit === undefined) {
      this.byUser.delete(userId);
      this.ends.delete(userId);
    } else {
      this.byUser.set(userId, limit);
      this.ends.set(userId, limit.until);
    }
  }

  /** Deletes ended limits from the store. Every replica does this; the first one is enough. */
  private async sweep(): Promise<void> {
    const ended = this.ends.past();
    if (ended.length === 0) return;
    const fields = Object.fromEntries(ended.map((userId) => [prefix + userId, undefined]));
    await this.dependencies.map.set(fields).catch(() => {
      // The store is unreachable: the next run tries again.
    });
  }
}

function parse(userId: string, text: string): UserLimit | undefined {
  try {
    const { value, ...who } = JSON.parse(text) as {
      readonly value: { readonly commands_per_sec: number; readonly until: number };
      readonly by: string;
      readonly at: number;
      readonly reason?: string;
    };
    const { commands_per_sec: commandsPerSec, until } = value;
    return typeof commandsPerSec === 'number' && typeof until === 'number'
      ? { userId, commandsPerSec, until, ...who }
      : undefined;
  } catch {
    return undefined;
  }
}
