/**
 * A copy of a text that was cut out of a longer one: V8 keeps the longer one in memory for as long as there is a part of it with 13 characters
 * or more. For what is kept of requests, whose texts may be as long as a client likes.
 */
export function ownText(part: string): string {
  return Buffer.from(part).toString();
}
