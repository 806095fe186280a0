/**
 * A store whose memory grows by more than this for each byte written grows for other reasons: another replica writes,
 * or a buffer of the store does. The bytes of a message are its most already; allocators round up by a quarter.
 */
const growthLimit = 1.25;

/**
 * Who makes the memory of the store grow, in bytes per user. What users wrote between two measurements is
 * charged to them in proportion, but together no more than the growth that was measured. So a user whose
 * messages replace older ones is charged nothing, however much that is.
 */
export class MemoryShares {
  private readonly charged = new Map<string, number>();
  /** Not yet stored, or not yet measured. */
  private readonly waiting = new Map<string, number>();
  private readonly written = new Map<string, number>();

  /** The bytes that count against the share of a user. */
  of(userId: string): number {
    const { charged, waiting, written } = this;
    return (charged.get(userId) ?? 0) + (waiting.get(userId) ?? 0) + (written.get(userId) ?? 0);
  }

  admitted(userId: string, bytes: number): void {
    add(this.waiting, userId, bytes);
  }

  settled(userId: string, bytes: number, isStored: boolean): void {
    add(this.waiting, userId, -bytes);
    if (isStored) add(this.written, userId, bytes);
  }

  /** The memory in use has changed by this since the last call. */
  measured(growthBytes: number): void {
    if (growthBytes > 0) this.charge(growthBytes);
    else this.release(-growthBytes);
    this.written.clear();
  }

  /** There is enough memory: who wrote before does not count any more. */
  clear(): void {
    this.charged.clear();
    this.written.clear();
  }

  private charge(growthBytes: number): void {
    let total = 0;
    for (const bytes of this.written.values()) total += bytes;
    const rate = Math.min(growthLimit, growthBytes / total);
    for (const [userId, bytes] of this.written) add(this.charged, userId, bytes * rate);
  }

  private release(bytes: number): void {
    let total = 0;
    for (const charge of this.charged.values()) total += charge;
    const rest = bytes < total ? 1 - bytes / total : 0;
    for (const [userId, charge] of this.charged)
      if (charge * rest < 1) this.charged.delete(userId);
      else this.charged.set(userId, charge * rest);
  }
}

function add(sums: Map<string, number>, userId: string, bytes: number): void {
  const sum = (sums.get(userId) ?? 0) + bytes;
  if (sum > 0) sums.set(userId, sum);
  else sums.delete(userId);
}
