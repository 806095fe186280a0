import { getHeapSpaceStatistics } from 'node:v8';

/** Bytes in use in the old generation of the heap, garbage included. */
export function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')!.space_used_size;
}
