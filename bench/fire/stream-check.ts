/** What one subscriber has received of the numbers 0, 1, 2, … of its topic: which are missing, which came again, which came late. */
export class StreamCheck {
  /** Numbers that came again. */
  readonly doubled: number[] = [];
  /** Numbers that came after a greater one, for the first time. */
  readonly disordered: number[] = [];
  private greatest = -1;
  private readonly missing = new Set<number>();

  /** The greatest number that has come; -1: none. */
  get last(): number {
    return this.greatest;
  }

  receive(n: number): void {
    if (n > this.greatest) {
      for (let skipped = this.greatest + 1; skipped < n; skipped++) this.missing.add(skipped);
      this.greatest = n;
    } else if (this.missing.delete(n)) this.disordered.push(n);
    else this.doubled.push(n);
  }

  /** Those of the first `published` numbers that have not come. */
  lost(published: number): number[] {
    const lost = [...this.missing].filter((n) => n < published);
    for (let n = this.greatest + 1; n < published; n++) lost.push(n);
    return lost;
  }
}

/** What a part of a run has delivered, over all subscribers. */
export interface Deliveries {
  readonly expected: number;
  readonly lost: number;
  readonly doubled: number;
  readonly disordered: number;
}

/** What of the numbers `from` up to, not including, `to` has been delivered. */
export function deliveriesBetween(check: StreamCheck, from: number, to: number): Deliveries {
  const within = (numbers: readonly number[]) => numbers.filter((n) => n >= from && n < to).length;
  return {
    expected: to - from,
    lost: within(check.lost(to)),
    doubled: within(check.doubled),
    disordered: within(check.disordered),
  };
}

export function sumOf(all: readonly Deliveries[]): Deliveries {
  const sum = (read: (one: Deliveries) => number) => all.reduce((total, one) => total + read(one), 0);
  return {
    expected: sum(({ expected }) => expected),
    lost: sum(({ lost }) => lost),
    doubled: sum(({ doubled }) => doubled),
    disordered: sum(({ disordered }) => disordered),
  };
}
