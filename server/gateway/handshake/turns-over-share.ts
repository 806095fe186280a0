import type { Clock } from '../../primitives/clock.js';

/** Time between two clients of a user, and the longest that one waits, in milliseconds. */
const spacingMs = 25;
const longestMs = 5000;

interface Waiting {
  clients: number;
  lastAt: number;
}

/**
 * Lets the clients of a user join one after the other while the user has more than its share of unfinished messages, most of which have been thrown away. A
 * user whose clients are closed for it, and come again at once, makes garbage with each, and many at once most of all.
 */
export class TurnsOverShare {
  private readonly waiting = new Map<string, Waiting>();

  constructor(
    private readonly dependencies: {
      readonly clock: Pick<Clock, 'now' | 'sleep'>;
      readonly isOver: (userId: string) => boolean;
    },
  ) {}

  /** Resolves when a client of a user may join. Undefined: now. */
  readonly wait = (userId: string): Promise<void> | undefined =>
    this.dependencies.isOver(userId) ? this.turn(userId) : undefined;

  private async turn(userId: string): Promise<void> {
    const { clock } = this.dependencies;
    const now = clock.now();
    const waiting = this.waiting.get(userId) ?? { clients: 0, lastAt: now };
    this.waiting.set(userId, waiting);
    waiting.lastAt = Math.min(waiting.lastAt + spacingMs, now + longestMs);
    waiting.clients++;
    await clock.sleep(waiting.lastAt - now);
    if (--waiting.clients === 0) this.waiting.delete(userId);
  }
}
