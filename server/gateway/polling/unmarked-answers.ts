/** An answer is taken for received after this time, in milliseconds: longer than it takes to notice that a replica has ended. */
const receivedMs = 10_000;

/**
 * The last answers that left by another replica, to clients whose polls have no mark (`t` in the query) or all the same. If that one ends, an answer may be lost with it; a proxy sends the poll
 * again, and without a mark it looks like the next one.
 */
export class UnmarkedAnswers {
  /** By transport, in order of time. */
  private readonly answers = new Map<string, { readonly edge: string; readonly at: number }>();

  constructor(private readonly dependencies: { readonly now: () => number }) {}

  answered(sid: string, edge: string): void {
    this.forgetReceived();
    this.answers.delete(sid);
    this.answers.set(sid, { edge, at: this.dependencies.now() });
  }

  /** A replica has ended. Returns the transports whose last answer may be lost. */
  lost(edge: string): string[] {
    this.forgetReceived();
    const sids = [...this.answers].filter(([, answer]) => answer.edge === edge).map(([sid]) => sid);
    for (const sid of sids) this.answers.delete(sid);
    return sids;
  }

  private forgetReceived(): void {
    const before = this.dependencies.now() - receivedMs;
    for (const [sid, { at }] of this.answers) {
      if (at > before) break;
      this.answers.delete(sid);
    }
  }
}
