import { AscendingTime } from '../../primitives/ascending-time.js';

/** A time that is less than this behind the last one is held, so that timestamps do not go back by the error of a measurement. */
const heldMs = 1000;
/** One round trip may take long, above all while a process starts: more follow until one is this short, within limits. */
const shortMs = 1;
const roundTrips = 10;
const roundTripsMs = 50;

/**
 * The clock of Redis, as replicas estimate it: ids and times of messages must not depend on the clocks of the replicas,
 * which may differ by hours. Between two measurements the monotonic clock of the process counts.
 */
export class RedisClock {
  private offsetMs: number;
  private lastMs = 0;
  private readonly ascending: AscendingTime;
  private wasMeasured = false;

  constructor(
    private readonly monotonic: () => number = () => performance.now(),
    wallTime: () => number = Date.now,
  ) {
    this.offsetMs = wallTime() - monotonic();
    this.ascending = new AscendingTime(() => monotonic() + this.offsetMs, monotonic);
  }

  /** Whether Redis has answered once. */
  get isMeasured(): boolean {
    return this.wasMeasured;
  }

  /** Milliseconds since 1970. Before the first measurement the clock of this machine counts. */
  readonly now = (): number => {
    const ms = Math.round(this.monotonic() + this.offsetMs);
    if (ms < this.lastMs && this.lastMs - ms < heldMs) return this.lastMs;
    this.lastMs = ms;
    return ms;
  };

  /** The same for ids: see {@link AscendingTime}. */
  readonly idTime = (): number => (this.wasMeasured ? this.ascending.now() : this.now());

  /** Asks Redis for its time, more than once if the answers are slow. Rejects as `call` does. */
  async measure(call: (args: string[]) => Promise<unknown>): Promise<void> {
    const begun = this.monotonic();
    for (let n = 0; n < roundTrips; n++) {
      const sentAt = this.monotonic();
      const answer = (await call(['TIME'])) as string[];
      const receivedAt = this.monotonic();
      this.measured(readTime(answer), sentAt, receivedAt);
      if (receivedAt - sentAt <= shortMs || receivedAt - begun >= roundTripsMs) return;
    }
  }

  /**
   * Redis has answered with its time. It was read between sending and receiving, so an estimate within that range is
   * kept: it may be more exact than this measurement. One that is a little outside of a wide range is moved to its edge:
   * an answer that was at once there, and read late, tells no more.
   */
  measured(redisMs: number, sentAt: number, receivedAt: number): void {
    // If the clock of Redis was set back, ids go on from here.
    if (this.wasMeasured) this.ascending.now();
    this.wasMeasured = true;
    const least = redisMs - receivedAt;
    const most = redisMs - sentAt;
    const nearest = Math.min(Math.max(this.offsetMs, least), most);
    const isNear = Math.abs(nearest - this.offsetMs) < most - least;
    this.offsetMs = isNear ? nearest : (least + most) / 2;
  }
}

/** Reads the answer of `TIME`. */
export function readTime([seconds, microseconds]: readonly string[]): number {
  return Number(seconds) * 1000 + Number(microseconds) / 1000;
}
