import type { Clock, Timer } from './clock.js';

/** What is not done within a time limit has failed. */
export function inTime<Value>(clock: Clock, limitMs: number, work: Value | Promise<Value>): Promise<Value> {
  let timer: Timer;
  return Promise.race([
    work,
    new Promise<never>((_, reject) => {
      timer = clock.setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
      timer.unref?.();
    }),
  ]).finally(() => clock.clearTimer(timer));
}
