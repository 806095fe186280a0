import { setTimeout as sleep } from 'node:timers/promises';

export { freePort } from '../../bench/free-port.js';

/** Waits until a condition holds, or fails with `what` after the limit. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await sleep(5);
  }
}
