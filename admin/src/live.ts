import { computed, effect, signal } from '@preact/signals';
import { io } from 'socket.io-client';
import { ApiError, call } from './api.js';
import type { OverviewAnswer } from './overview.js';
import { token } from './session.js';

const everyMs = 2000;
const staleAfterMs = 7000;

export const overview = signal<OverviewAnswer | undefined>(undefined);
export const overviewError = signal<ApiError | undefined>(undefined);
/** When the last answer came, by this page's clock; 0: none yet. */
export const answeredAt = signal(0);
/** Nothing is updated: set by the key `p`. */
export const paused = signal(false);
/** Now, in steps of a second. */
export const clock = signal(Date.now());
/** How far the clock of the service is ahead of this page's. */
const aheadMs = signal(0);
/** Now, by the clock of the service, whose times are shown. */
export const serverClock = computed(() => clock.value + aheadMs.value);
/** Changes when something has happened: what is shown is read again. */
export const happened = signal(0);

export const staleSecs = computed(() => {
  const age = clock.value - answeredAt.value;
  return answeredAt.value !== 0 && age > staleAfterMs ? Math.round(age / 1000) : 0;
});

let timer: ReturnType<typeof setTimeout> | undefined;
let isReading = false;

/** Reads the overview now, then every two seconds. */
export async function refresh(): Promise<void> {
  clearTimeout(timer);
  if (token.peek() === '') return;
  if (!isReading && !paused.peek() && !document.hidden) {
    isReading = true;
    const as = token.peek();
    try {
      const answer = await call<OverviewAnswer>('GET', '/overview');
      if (as === token.peek()) {
        overview.value = answer;
        overviewError.value = undefined;
        answeredAt.value = Date.now();
        aheadMs.value = answer.at - answeredAt.value;
      }
    } catch (error) {
      overviewError.value = error as ApiError;
    } finally {
      isReading = false;
    }
  }
  clearTimeout(timer);
  timer = setTimeout(() => void refresh(), everyMs);
}

setInterval(() => (clock.value = Date.now()), 1000);
document.addEventListener('visibilitychange', () => void refresh());

/**
 * The service's own Socket.IO carries alerts and switches to operators at once. Without it, for instance while new connections are
 * switched off, the page shows them with the next answer.
 */
effect(() => {
  const as = token.value;
  overview.value = undefined;
  answeredAt.value = 0;
  if (as === '') return;
  const path = new URL('../socket.io/', location.href.split('#')[0]).pathname;
  const socket = io({ path, auth: { token: as }, transports: ['websocket'], reconnectionDelayMax: 10_000 });
  let soon: ReturnType<typeof setTimeout> | undefined;
  socket.on('system_notification', () => {
    clearTimeout(soon);
    soon = setTimeout(() => {
      if (!paused.peek()) happened.value++;
      void refresh();
    }, 150);
  });
  void refresh();
  return () => {
    clearTimeout(soon);
    socket.close();
  };
});
