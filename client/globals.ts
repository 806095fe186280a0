import type { StateStore } from './state-store.js';

export interface EventTargetLike {
  addEventListener(type: string, listener: () => unknown, options: { readonly signal: AbortSignal }): void;
}

/** What the library uses of a browser. In Node, workers and on servers parts of it are missing. */
interface BrowserGlobals extends Partial<EventTargetLike> {
  readonly FileReader?: unknown;
  readonly document?: EventTargetLike & { readonly visibilityState: string };
  readonly navigator?: { readonly onLine?: boolean };
  readonly sessionStorage?: StateStore;
  readonly localStorage?: StateStore;
}

/** Each access may be the first one: nothing is read when the module is loaded. */
export const globals = globalThis as unknown as BrowserGlobals;
