import { inSlices } from '../primitives/in-slices.js';
import type { Found } from './cluster-operations.js';

/** Which part of a list is asked for. */
export interface ListRequest {
  readonly limit: number;
  /** Bytes of the items. */
  readonly bytes?: number | undefined;
  /**
   * Walks the whole list in the order of its keys, from behind this key; `''` from the beginning. Undefined: the
   * first ones of the order in which operators read the list.
   */
  readonly after?: string | undefined;
}

/** What a request with `?limit=` and `?cursor=` asks for. */
export function listRequest(
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
  bytes: number,
): ListRequest {
  return { limit, bytes, after: cursor === undefined ? undefined : decodeCursor(cursor) };
}

interface ListOrder<Item> {
  /** Unique, and does not change while the item exists. */
  readonly keyOf: (item: Item) => string;
  /** The order in which operators read the list; undefined: that in which the items come. */
  readonly rank?: (one: Item, other: Item) => number;
  /** Bytes of an item as JSON, at least: no more are sorted than an answer can have. */
  readonly leastBytes?: number;
}

/** The answer of one replica: its first items. The size of the list does not matter for the memory this takes. */
export function listPage<Item, Shown>(
  items: Iterable<Item>,
  request: ListRequest,
  order: ListOrder<Item>,
  show: (item: Item) => Shown,
): Found<Shown> {
  const page = new PageOf(request, order);
  for (const item of items) page.add(item);
  return page.found(show);
}

/**
 * The same for a list that may be very long: other work runs meanwhile.
 *
 * @param items undefined is one that was looked at and is not wanted: to look at very many of those takes long, too
 */
export async function longListPage<Item, Shown>(
  items: Iterable<Item | undefined>,
  request: ListRequest,
  order: ListOrder<Item>,
  show: (item: Item) => Shown,
): Promise<Found<Shown>> {
  const page = new PageOf(request, order);
  await inSlices(items, (item) => {
    if (item !== undefined) page.add(item);
  });
  return page.found(show);
}

/** A page while the items of the list are looked at. */
class PageOf<Item> {
  private readonly first: FirstOf<Item>;
  private readonly keyOf: (item: Item) => string;
  private readonly after: string | undefined;
  private readonly bytes: number;
  private total = 0;
  private left = 0;

  constructor(
    { limit, bytes = Infinity, after }: ListRequest,
    { keyOf, rank, leastBytes = 0 }: ListOrder<Item>,
  ) {
    const byKey = (one: Item, other: Item) => compareText(keyOf(one), keyOf(other));
    const fitting = leastBytes === 0 ? Infinity : Math.ceil(bytes / leastBytes);
    this.first = new FirstOf<Item>(Math.min(limit, fitting), after === undefined ? rank : byKey);
    this.keyOf = keyOf;
    this.after = after;
    this.bytes = bytes;
  }

  add(item: Item): void {
    this.total++;
    if (this.after !== undefined && this.keyOf(item) <= this.after) return;
    this.left++;
    this.first.add(item);
  }

  found<Shown>(show: (item: Item) => Shown): Found<Shown> {
    const shown = withinBytes(this.first.items(), this.bytes, show);
    return { items: shown, total: this.total, more: shown.length < this.left };
  }
}

/** The answers of all replicas as one page. `combine` makes one item of those that have the same key. */
export function mergePages<Item>(
  answers: readonly Found<Item>[],
  { limit, bytes = Infinity, after }: ListRequest,
  { keyOf, rank }: ListOrder<Item>,
  combine: (same: readonly Item[]) => Item = ([one]) => one!,
): { items: Item[]; truncated: boolean; cursor: string | null } {
  const isWalk = after !== undefined;
  // Behind the last item of a replica that has more, there may be some that it has not sent.
  let horizon: string | undefined;
  const byKey = new Map<string, Item[]>();
  for (const { items, total, more = total > items.length } of answers) {
    const last = items[items.length - 1];
    if (more && last !== undefined && (horizon === undefined || keyOf(last) < horizon)) horizon = keyOf(last);
    for (const item of items) {
      const key = keyOf(item);
      const same = byKey.get(key);
      if (same === undefined) byKey.set(key, [item]);
      else same.push(item);
    }
  }
  const known = [...byKey].filter(
    ([key]) => !isWalk || (key > after && (horizon === undefined || key <= horizon)),
  );
  const merged = known.map(([, same]) => combine(same));
  if (isWalk) merged.sort((one, other) => compareText(keyOf(one), keyOf(other)));
  else if (rank !== undefined) merged.sort(rank);
  const items = withinBytes(merged.slice(0, limit), bytes, (item) => item);
  const truncated = horizon !== undefined || items.length < merged.length;
  const last = items[items.length - 1];
  return { items, truncated, cursor: isWalk && truncated && last !== undefined ? encode(keyOf(last)) : null };
}

/** The key in a cursor. */
function decodeCursor(cursor: string): string {
  return Buffer.from(cursor, 'base64url').toString();
}

function encode(key: string): string {
  return Buffer.from(key).toString('base64url');
}

/** The order of texts by their code units: the same on every replica. */
export function compareText(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** As many items as have these bytes as JSON; at least one. */
export function withinBytes<Item, Shown>(
  items: readonly Item[],
  limitBytes: number,
  show: (item: Item) => Shown,
): Shown[] {
  const shown: Shown[] = [];
  let bytes = 0;
  for (const item of items) {
    const one = show(item);
    if (limitBytes !== Infinity) bytes += Buffer.byteLength(JSON.stringify(one)) + 1;
    if (shown.length > 0 && bytes > limitBytes) break;
    shown.push(one);
  }
  return shown;
}

/** Keeps the first items of an order, never more than twice as many as wanted. */
class FirstOf<Item> {
  private kept: Item[] = [];
  /** Of the last sorting, the last item that was kept: what comes after it is not. Of a long list, nearly every item costs one comparison. */
  private last: Item | undefined;

  constructor(
    private readonly limit: number,
    private readonly compare: ((one: Item, other: Item) => number) | undefined,
  ) {}

  add(item: Item): void {
    if (this.compare === undefined) {
      if (this.kept.length < this.limit) this.kept.push(item);
      return;
    }
    if (this.last !== undefined && this.compare(item, this.last) >= 0) return;
    this.kept.push(item);
    if (this.kept.length >= 2 * this.limit + 100) this.trim();
  }

  items(): readonly Item[] {
    this.trim();
    return this.kept;
  }

  private trim(): void {
    if (this.compare === undefined) return;
    this.kept.sort(this.compare);
    this.kept.length = Math.min(this.kept.length, this.limit);
    if (this.kept.length === this.limit) this.last = this.kept[this.limit - 1];
  }
}
