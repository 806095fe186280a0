import { setImmediate as nextTurn } from 'node:timers/promises';

/** Items between two looks at the clock. */
const lookEvery = 256;

/**
 * Visits all items, and lets other work run whenever it has taken so long. What is iterated may change meanwhile, as a `Map` may.
 */
export async function inSlices<Item>(
  items: Iterable<Item>,
  visit: (item: Item) => void,
  sliceMs = 10,
): Promise<void> {
  let startedAt = performance.now();
  let count = 0;
  for (const item of items) {
    visit(item);
    if (++count % lookEvery !== 0 || performance.now() - startedAt < sliceMs) continue;
    await nextTurn();
    startedAt = performance.now();
  }
}
