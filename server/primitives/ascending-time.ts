/**
 * The time of a clock, except that it never goes back: where the clock is set back, it goes at half its speed until the clock has caught up. So the
 * order of what gets its time here stays the order in which it came, also between processes whose clock is the same.
 */
export class AscendingTime {
  private last = -Infinity;
  private lastAt = 0;

  constructor(
    private readonly clock: () => number,
    private readonly monotonic: () => number,
  ) {}

  /** To be called now and then too when nobody needs the time: only what it was before can be continued. */
  readonly now = (): number => {
    const at = this.monotonic();
    this.last = Math.max(this.clock(), this.last + (at - this.lastAt) / 2);
    this.lastAt = at;
    return this.last;
  };
}
