import type { Clock } from '../primitives/clock.js';

/** A record stays this long after its end, in milliseconds: a machine may start with a wrong clock, which is then set right. */
const marginMs = 3_600_000;

/**
 * When records that all replicas share may be deleted for all of them. The wall clock of one replica may be ahead for a time, and what it deletes
 * does not come back: a revoked token would be accepted again. So the end of a record has to be past on the monotonic clock too, since this
 * replica has known the record.
 */
export class RecordEnds {
  private readonly ends = new Map<string, { readonly untilMs: number; readonly notBefore: number }>();

  constructor(private readonly clock: Pick<Clock, 'now' | 'wallTime'>) {}

  /** @param untilMs its end, in milliseconds since 1970 */
  set(key: string, untilMs: number): void {
    const leftMs = Math.max(0, untilMs - this.clock.wallTime());
    this.ends.set(key, { untilMs, notBefore: this.clock.now() + leftMs + marginMs });
  }

  delete(key: string): void {
    this.ends.delete(key);
  }

  /** The records that may be deleted. */
  past(): string[] {
    const now = this.clock.now();
    const wallTime = this.clock.wallTime();
    return [...this.ends]
      .filter(([, { untilMs, notBefore }]) => untilMs < wallTime && notBefore < now)
      .map(([key]) => key);
  }
}
