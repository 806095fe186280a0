import { setTimeout as sleep } from 'node:timers/promises';

export { freePort } from '../../bench/free-port.js';

/**
 * Waits until a condition holds, or fails with `what` after the limit. It is long because it costs nothing when all is well, and
 * a machine with other work may need that long to start a process or to connect.
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await sleep(5);
  }
}
