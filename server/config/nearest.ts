import { closest, distance } from 'fastest-levenshtein';

/** `; did you mean …?`, if a known name is near enough to be meant. */
export function nearest(name: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const best = closest(name, [...known]);
  return distance(name, best) <= Math.max(3, name.length / 2) ? `; did you mean ${best}?` : '';
}
