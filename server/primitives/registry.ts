interface Place<Item> {
  /** Undefined once it is removed. */
  item: Item | undefined;
  previous: Place<Item> | undefined;
  next: Place<Item> | undefined;
}

/**
 * A set, in the order of insertion, of objects that come and go all the time.
 *
 * V8 gives a `Set` or `Map` a new table every few changes, and lets the former table refer to the next one. Once a table is in the old generation,
 * all tables after it, with all objects that were in them, stay in memory until the next major collection. Here the objects are in a linked list, and
 * nothing that was removed refers to an object: V8 may have made the places in the old generation.
 */
export class Registry<Item extends object> implements Iterable<Item> {
  private readonly key = Symbol('place in a registry');
  private head: Place<Item> | undefined;
  private last: Place<Item> | undefined;
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** The one that was added before all others. */
  get first(): Item | undefined {
    return this.head?.item;
  }

  has(item: Item): boolean {
    return this.placeOf(item) !== undefined;
  }

  add(item: Item): void {
    if (this.has(item)) return;
    const { last } = this;
    const place: Place<Item> = { item, previous: last, next: undefined };
    if (last === undefined) this.head = place;
    else last.next = place;
    this.last = place;
    this.setPlace(item, place);
    this.count++;
  }

  /** False: it was not there. */
  delete(item: Item): boolean {
    const place = this.placeOf(item);
    if (place === undefined) return false;
    const { previous, next } = place;
    if (previous === undefined) this.head = next;
    else previous.next = next;
    if (next === undefined) this.last = previous;
    else next.previous = previous;
    place.item = place.previous = place.next = undefined;
    this.setPlace(item, undefined);
    this.count--;
    return true;
  }

  /** As of a `Set`, also while objects are added, and while the present one or later ones are removed. No earlier one may be removed meanwhile. */
  *[Symbol.iterator](): Generator<Item> {
    for (let place = this.head; place !== undefined;) {
      const { item, previous } = place as Place<Item> & { readonly item: Item };
      yield item;
      if (place.item !== undefined) place = place.next;
      else place = previous === undefined ? this.head : previous.next;
    }
  }

  private placeOf(item: Item): Place<Item> | undefined {
    return (item as Readonly<Record<symbol, Place<Item> | undefined>>)[this.key];
  }

  private setPlace(item: Item, place: Place<Item> | undefined): void {
    (item as Record<symbol, Place<Item> | undefined>)[this.key] = place;
  }
}
