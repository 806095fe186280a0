/** The item that a full mailbox refuses when another one is offered: the new one, or the oldest. */
export type MailboxOverflow = 'reject' | 'drop_oldest';

/** A bounded queue before an actor. Taking from it is O(1) amortised. */
export class Mailbox<Item> {
  private items: Item[] = [];
  private head = 0;

  constructor(
    readonly capacity: number,
    private readonly overflow: MailboxOverflow,
  ) {}

  get size(): number {
    return this.items.length - this.head;
  }

  /**
   * Queues an item. Returns the item that is refused because the mailbox is full: this one, the oldest, or
   * undefined for none.
   */
  offer(item: Item): Item | undefined {
    if (this.size < this.capacity) {
      this.items.push(item);
      return undefined;
    }
    if (this.overflow === 'reject') return item;
    const [oldest] = this.take(1);
    this.items.push(item);
    return oldest;
  }

  /** Takes up to `limit` items, oldest first. */
  take(limit: number): Item[] {
    const end = Math.min(this.items.length, this.head + limit);
    const taken =
      this.head === 0 && end === this.items.length ? this.items : this.items.slice(this.head, end);
    if (end === this.items.length) {
      this.items = [];
      this.head = 0;
    } else {
      this.head = end;
      if (this.head > 1024) {
        this.items = this.items.slice(this.head);
        this.head = 0;
      }
    }
    return taken;
  }
}
