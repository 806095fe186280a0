/** Counts events in the last `slots` slots of `slotMs` milliseconds each, including the current one. */
export class SlidingWindow {
  /** Slots with events, oldest first. */
  private readonly counts: { readonly slot: number; count: number }[] = [];

  constructor(
    private readonly slotMs: number,
    private readonly slots: number,
  ) {}

  add(now: number, count: number): void {
    const slot = this.slotAt(now);
    const last = this.counts[this.counts.length - 1];
    if (last?.slot === slot) last.count += count;
    else {
      // Old slots must also be removed if only `add` is ever called.
      this.forget(now);
      this.counts.push({ slot, count });
    }
  }

  sum(now: number): number {
    this.forget(now);
    return this.counts.reduce((sum, { count }) => sum + count, 0);
  }

  /** Milliseconds until the oldest slot leaves the window; 0 if the window is empty. */
  nextFreeMs(now: number): number {
    this.forget(now);
    const oldest = this.counts[0];
    return oldest === undefined ? 0 : Math.ceil((oldest.slot + this.slots) * this.slotMs - now);
  }

  private forget(now: number): void {
    const first = this.slotAt(now) - this.slots + 1;
    while (this.counts.length > 0 && this.counts[0]!.slot < first) this.counts.shift();
  }

  private slotAt(now: number): number {
    return Math.floor(now / this.slotMs);
  }
}
