import type { Broker } from '../log/broker.js';
import type { LogFeed } from '../log/feed.js';
import type { Log } from '../logging/log.js';
import type { Clock, Timer } from '../primitives/clock.js';

interface PositionChecksDependencies {
  readonly broker: Pick<Broker, 'ends' | 'state'>;
  /** The logs that are followed now. */
  readonly feeds: () => readonly LogFeed[];
  /** Called before each check: batches may have been lost, or the log of a quiet topic be another one. */
  readonly onCheck: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Logs whose positions are compared at the same time. */
const atOnce = 500;

/** Compares the positions of quiet followed logs with the ends of their logs, periodically and on request. */
export class PositionChecks {
  private readonly timer: Timer;

  constructor(
    private readonly dependencies: PositionChecksDependencies,
    { periodMs }: { readonly periodMs: number },
  ) {
    this.timer = dependencies.clock.setInterval(() => void this.check(periodMs), periodMs);
    this.timer.unref();
  }

  /** Checks the logs of which nothing has come for this long, in milliseconds. */
  async check(quietMs: number): Promise<void> {
    const { broker, feeds, onCheck, clock } = this.dependencies;
    onCheck();
    const before = clock.now() - quietMs;
    const quiet = feeds().filter((feed) => feed.isOpen && feed.lastTraffic <= before);
    for (let i = 0; i < quiet.length; i += atOnce) {
      await Promise.all(quiet.slice(i, i + atOnce).map((feed) => this.compare(feed)));
      if (broker.state === 'down') return;
    }
  }

  close(): void {
    this.dependencies.clock.clearTimer(this.timer);
  }

  /** Each by itself: a log that cannot be read does not stop the check of others. */
  private async compare(feed: LogFeed): Promise<void> {
    try {
      const [end] = await this.dependencies.broker.ends([feed.topic]);
      feed.check(end!);
    } catch (error) {
      this.dependencies.log.debug('Position not checked', { topic: feed.topic, error });
    }
  }
}
