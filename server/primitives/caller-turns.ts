import { Registry } from './registry.js';

interface Line<Item> {
  readonly caller: string;
  readonly items: Item[];
}

/** Callers that have come to their end before the table of callers is made anew. */
const endedMax = 64;

/**
 * Items that wait, of several callers who take turns. The order of the callers is not that of a `Map` to which each is added anew at its turn, and the
 * table of callers is made anew now and then: see {@link Registry} for what they would keep in memory.
 */
export class CallerTurns<Item> {
  private lines = new Map<string, Line<Item>>();
  /** In the order in which they are served next. */
  private readonly order = new Registry<Line<Item>>();
  private count = 0;
  /** Removed from the table since it was made. */
  private ended = 0;

  get size(): number {
    return this.count;
  }

  /** The number of items of a caller. */
  sizeOf(caller: string): number {
    return this.lines.get(caller)?.items.length ?? 0;
  }

  push(caller: string, item: Item): void {
    this.count++;
    const line = this.lines.get(caller);
    if (line !== undefined) {
      line.items.push(item);
      return;
    }
    const added = { caller, items: [item] };
    this.lines.set(caller, added);
    this.order.add(added);
  }

  /** Removes an item of the caller whose turn it is, the one that `take` removes from those of this caller. There must be one. */
  next(take: (items: Item[]) => Item): Item {
    const line = this.order.first!;
    const item = take(line.items);
    this.order.delete(line);
    if (line.items.length > 0) this.order.add(line);
    else this.end(line);
    this.count--;
    return item;
  }

  private end({ caller }: Line<Item>): void {
    this.lines.delete(caller);
    if (++this.ended < endedMax + this.lines.size) return;
    this.ended = 0;
    // No former table refers to a new one.
    this.lines = new Map(this.lines);
  }
}
