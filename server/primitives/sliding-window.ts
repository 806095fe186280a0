/** Counts what happened in the last `slots` slots of `slotMs` each, the current one included. */
export class SlidingWindow {
  /** Slots with something in them, oldest first. */
  private readonly counts: { readonly slot: number; count: number }[] = [];

  constructor(
    private readonly slotMs: number,
    private readonly slots: number,
  ) {}

  add(nowMs: number, count: number): void {
    const slot = this.slotAt(nowMs);
    const last = this.counts[this.counts.length - 1];
    if (last?.slot === slot) last.count += count;
    else {
      // Who only ever adds must not keep the past either.
      this.forget(nowMs);
      this.counts.push({ slot, count });
    }
  }

  sum(nowMs: number): number {
    this.forget(nowMs);
    return this.counts.reduce((sum, { count }) => sum + count, 0);
  }

  /** Milliseconds until the oldest slot leaves the window; 0 if it is empty. */
  nextFreeMs(nowMs: number): number {
    this.forget(nowMs);
    const oldest = this.counts[0];
    return oldest === undefined ? 0 : Math.ceil((oldest.slot + this.slots) * this.slotMs - nowMs);
  }

  private forget(nowMs: number): void {
    const first = this.slotAt(nowMs) - this.slots + 1;
    while (this.counts.length > 0 && this.counts[0]!.slot < first) this.counts.shift();
  }

  private slotAt(nowMs: number): number {
    return Math.floor(nowMs / this.slotMs);
  }
}
