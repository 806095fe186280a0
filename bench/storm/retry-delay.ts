/** Without an answer, a client tries again as stock clients do: after about a second, some earlier and some later. */
const unansweredMs = 1000;

/** Clients that were told the same time come a little later, and not at once again, in milliseconds. */
const spreadMs = 500;

/** When a client tries again whose upgrade was refused with this response: as `Retry-After` says, in milliseconds. */
export function delayAfterResponse(response: string, random = Math.random()): number {
  const secs = /^retry-after: *(\d+)/im.exec(response)?.[1];
  return delay(secs === undefined ? undefined : Number(secs) * 1000, random);
}

/** When a client tries again that may not join, with this `connect_error`, in milliseconds. */
export function delayAfterError(error: unknown, random = Math.random()): number {
  const wait = (error as { data?: { retry_after_ms?: unknown } } | null)?.data?.retry_after_ms;
  return delay(typeof wait === 'number' ? wait : undefined, random);
}

/** When a client tries again whose connection has ended without an answer, in milliseconds. */
export function delayAfterEnd(random = Math.random()): number {
  return delay(undefined, random);
}

function delay(toldMs: number | undefined, random: number): number {
  return toldMs === undefined ? unansweredMs * (0.5 + random) : toldMs + spreadMs * random;
}
