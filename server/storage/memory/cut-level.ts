/** The size to which the largest of these sizes, in descending order, must be cut to free so many bytes. */
export function cutLevel(sizes: readonly number[], bytes: number): number {
  let sum = 0;
  for (let i = 0; i < sizes.length; i++) {
    sum += sizes[i]!;
    const next = sizes[i + 1] ?? 0;
    if (sum - (i + 1) * next >= bytes) return Math.max(0, (sum - bytes) / (i + 1));
  }
  return 0;
}
