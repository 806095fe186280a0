/**
 * Counts changes of what decides who may do what. Whoever has checked that remembers the count, and need not check
 * again before it has changed.
 */
export class ChangeCount {
  private changes = 0;

  get value(): number {
    return this.changes;
  }

  readonly increment = (): void => {
    this.changes++;
  };
}
