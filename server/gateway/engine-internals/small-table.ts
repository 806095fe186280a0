/**
 * The sockets of one client, by name. Nearly always there is one, for which a `Map` is ten times too large.
 */
export class SmallTable {
  private readonly names: string[];
  private readonly items: unknown[];

  constructor(from: Iterable<[string, unknown]>) {
    const entries = [...from];
    // Created with their final length: lists that grow by `push` keep capacity for 17 items.
    this.names = entries.map(([name]) => name);
    this.items = entries.map(([, item]) => item);
  }

  get size(): number {
    return this.names.length;
  }

  has(name: string): boolean {
    return this.names.includes(name);
  }

  get(name: string): unknown {
    return this.items[this.names.indexOf(name)];
  }

  set(name: string, item: unknown): this {
    const at = this.names.indexOf(name);
    if (at >= 0) this.items[at] = item;
    else {
      this.names.push(name);
      this.items.push(item);
    }
    return this;
  }

  delete(name: string): boolean {
    const at = this.names.indexOf(name);
    if (at < 0) return false;
    this.names.splice(at, 1);
    this.items.splice(at, 1);
    return true;
  }

  clear(): void {
    this.names.length = 0;
    this.items.length = 0;
  }

  values(): Iterable<unknown> {
    return [...this.items];
  }

  *entries(): Iterable<[string, unknown]> {
    for (let i = 0; i < this.names.length; i++) yield [this.names[i]!, this.items[i]];
  }

  [Symbol.iterator](): Iterator<[string, unknown]> {
    return this.entries()[Symbol.iterator]();
  }
}
