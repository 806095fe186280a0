/**
 * What was thrown, as text. A program may throw anything, also what a client has sent to it: an object without `toString`, or an error whose
 * message is none. Never throws.
 */
export function thrownText(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return 'something was thrown that has no text';
  }
}
