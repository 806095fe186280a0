import type { Clock, Timer } from './clock.js';
import { globals, type EventTargetLike } from './globals.js';

interface PageEvents {
  /** The page, the machine or the network is back: a connection is often dead now without knowing it. */
  readonly wake: () => void;
  /** The page goes into the back/forward cache, or ends. */
  readonly hide: () => void;
  /** The browser stops the page, for as long as it likes. */
  readonly freeze?: () => void;
}

/** A timer that is late by more than this shows that the machine has slept. */
const sleptMs = 15_000;
const watchMs = 5000;

/** Follows what happens to the page. Returns a function that ends it. Outside of browsers only the clock is watched. */
export function watchPage(clock: Clock, { wake, hide, freeze }: PageEvents): () => void {
  const { document } = globals;
  const ended = new AbortController();
  const { signal } = ended;
  const on = (target: Partial<EventTargetLike> | undefined, types: string, listener?: () => unknown) => {
    if (listener) for (const type of types.split(' ')) target?.addEventListener?.(type, listener, { signal });
  };
  on(globals, 'online offline pageshow', wake);
  on(globals, 'pagehide', hide);
  on(document, 'visibilitychange', () => document?.visibilityState === 'visible' && wake());
  on(document, 'resume', wake);
  on(document, 'freeze', freeze);
  let timer: Timer;
  const watchClock = () => {
    const plannedAt = clock.wallTime();
    timer = clock.setTimeout(() => {
      const lateMs = clock.wallTime() - plannedAt - watchMs;
      if (lateMs > sleptMs && document?.visibilityState !== 'hidden') wake();
      watchClock();
    }, watchMs);
    timer.unref?.();
  };
  watchClock();
  return () => {
    clock.clearTimer(timer);
    ended.abort();
  };
}
