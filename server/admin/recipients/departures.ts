/** Notices that replicas leave the cluster: what they knew of their connections is gone. */
export class Departures {
  /** When the last one left, in milliseconds since 1970. */
  lastAt: number | undefined;
  private known: ReadonlySet<string> = new Set();

  constructor(private readonly now: () => number) {}

  /** Called with the other replicas whenever they have changed. */
  readonly compare = (others: readonly { readonly id: string }[]): void => {
    const live = new Set(others.map(({ id }) => id));
    if ([...this.known].some((id) => !live.has(id))) this.lastAt = this.now();
    this.known = live;
  };
}
