/** Requests of one caller whose bodies may still be on their way when they have been answered. Each takes some 40 KiB meanwhile. */
const perCaller = 100;

/** Bodies that are still awaited after the answer, so that their clients can read it, by caller. */
export class LateBodies {
  private readonly counts = new Map<string, number>();

  /** Whether one more body of a caller may be awaited. {@link end} must follow then. */
  begin(caller: string): boolean {
    const count = this.counts.get(caller) ?? 0;
    if (count >= perCaller) return false;
    this.counts.set(caller, count + 1);
    return true;
  }

  /** A body has come, or its connection has closed. */
  end(caller: string): void {
    const count = this.counts.get(caller)! - 1;
    if (count > 0) this.counts.set(caller, count);
    else this.counts.delete(caller);
  }
}
