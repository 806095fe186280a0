import { closest, distance } from 'fastest-levenshtein';

/**
 * `; did you mean …?` if a known name is close to the given one; otherwise an empty text. Close means: within
 * half of the name's length, or within `leastDistance` edits for short names.
 */
export function didYouMean(name: string, known: readonly string[], leastDistance: number): string {
  if (known.length === 0) return '';
  const best = closest(name, [...known]);
  return distance(name, best) <= Math.max(leastDistance, name.length / 2) ? `; did you mean ${best}?` : '';
}
