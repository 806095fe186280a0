/**
 * The sockets of one client, by name. Nearly always there is one, for which a `Map` is ten times too large: the first
 * is kept in two fields, and only further ones in a `Map`.
 */
export class SmallTable {
  private name: string | undefined;
  private item: unknown;
  private others: Map<string, unknown> | undefined;

  constructor(from: Iterable<[string, unknown]>) {
    for (const [name, item] of from) this.set(name, item);
  }

  get size(): number {
    return (this.name === undefined ? 0 : 1) + (this.others?.size ?? 0);
  }

  has(name: string): boolean {
    return name === this.name || this.others?.has(name) === true;
  }

  get(name: string): unknown {
    return name === this.name ? this.item : this.others?.get(name);
  }

  set(name: string, item: unknown): this {
    if (name === this.name) this.item = item;
    else if (this.name === undefined && this.others === undefined) {
      this.name = name;
      this.item = item;
    } else (this.others ??= new Map()).set(name, item);
    return this;
  }

  delete(name: string): boolean {
    if (name !== this.name) return this.others?.delete(name) === true;
    this.name = undefined;
    this.item = undefined;
    return true;
  }

  clear(): void {
    this.name = undefined;
    this.item = undefined;
    this.others = undefined;
  }

  values(): Iterable<unknown> {
    return [...this.entries()].map(([, item]) => item);
  }

  *entries(): Generator<[string, unknown]> {
    // A copy: what walks it may change it.
    const others = [...(this.others ?? [])];
    if (this.name !== undefined) yield [this.name, this.item];
    yield* others;
  }

  [Symbol.iterator](): Iterator<[string, unknown]> {
    return this.entries();
  }
}
