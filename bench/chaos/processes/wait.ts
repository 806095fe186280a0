import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a condition holds. False if it does not within the limit. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  limitMs: number,
  everyMs = 25,
): Promise<boolean> {
  const endsAt = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endsAt) return false;
    await sleep(everyMs);
  }
  return true;
}

/** As {@link waitUntil}; throws an error with `what` if the condition does not hold in time. */
export async function need(
  condition: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 30_000,
): Promise<void> {
  if (!(await waitUntil(condition, limitMs))) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
}
