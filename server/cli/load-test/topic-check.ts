/** What one subscriber received on one topic, compared with what a log promises: each sequence once, in order. */
export class TopicCheck {
  duplicates = 0;
  outOfOrder = 0;
  private last: number | undefined;
  private epoch: string | undefined;
  private readonly holes = new Set<number>();
  /** Other epochs: the log was lost or rolled back meanwhile. */
  epochs = 0;

  /** The subscription begins after this position. */
  startAt(epoch: string, sequence: number): void {
    if (this.last !== undefined) return;
    this.epoch = epoch;
    this.last = sequence;
  }

  received(epoch: string, sequence: number): void {
    if (epoch !== this.epoch || this.last === undefined) {
      if (this.epoch !== undefined) this.epochs++;
      this.epoch = epoch;
      this.last = sequence;
      return;
    }
    if (sequence <= this.last) {
      if (this.holes.delete(sequence)) this.outOfOrder++;
      else this.duplicates++;
      return;
    }
    for (let missing = this.last + 1; missing < sequence; missing++) this.holes.add(missing);
    this.last = sequence;
  }

  get position(): number {
    return this.last ?? 0;
  }

  /** Messages up to this acknowledged sequence that never came. */
  lostUpTo(acknowledged: number): number {
    return this.holes.size + Math.max(0, acknowledged - this.position);
  }
}
