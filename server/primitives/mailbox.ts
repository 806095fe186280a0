/** The item that a full mailbox refuses when another one is offered: the new one, or the oldest. */
export type MailboxOverflow = 'reject' | 'drop_oldest';

/**
 * A bounded queue before an actor. Taking from it is O(1) amortised.
 *
 * An empty one has no list. V8 would move a list that waits for the next item to the old generation, and what a list there refers to stays in memory
 * until the next major collection, also after the list is replaced.
 */
export class Mailbox<Item> {
  private items: Item[] | undefined;
  private head = 0;

  constructor(
    readonly capacity: number,
    private readonly overflow: MailboxOverflow,
  ) {}

  get size(): number {
    return this.items === undefined ? 0 : this.items.length - this.head;
  }

  /**
   * Queues an item. Returns the item that is refused because the mailbox is full: this one, the oldest, or
   * undefined for none.
   */
  offer(item: Item): Item | undefined {
    if (this.size < this.capacity) {
      (this.items ??= []).push(item);
      return undefined;
    }
    if (this.overflow === 'reject') return item;
    const [oldest] = this.take(1);
    (this.items ??= []).push(item);
    return oldest;
  }

  /** Takes up to `limit` items, oldest first. */
  take(limit: number): Item[] {
    const { items, head } = this;
    if (items === undefined) return [];
    const end = Math.min(items.length, head + limit);
    const taken = head === 0 && end === items.length ? items : items.slice(head, end);
    if (end === items.length) {
      this.items = undefined;
      this.head = 0;
    } else {
      this.head = end;
      if (this.head > 1024) {
        this.items = items.slice(this.head);
        this.head = 0;
      }
    }
    return taken;
  }
}
