/** What is used of the browser's Web Locks. */
export interface Locks {
  request(
    name: string,
    options: {
      readonly signal?: AbortSignal;
      readonly steal?: boolean;
      readonly mode?: 'exclusive' | 'shared';
    },
    run: () => Promise<void>,
  ): Promise<void>;
}

/** What is used of a BroadcastChannel. */
export interface Channel {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

/** How tabs find each other. Tests give their own. */
export interface TabsBrowser {
  readonly locks: Locks;
  readonly openChannel: (name: string) => Channel;
  /** Runs the script of {@link file://./../tabs-worker.ts} under a name, once for all tabs. */
  readonly startWorker?: ((name: string, failed: () => void) => void) | undefined;
}

interface WorkerGlobals {
  readonly addEventListener?: unknown;
  readonly navigator?: { readonly locks?: Locks };
  readonly BroadcastChannel?: new (name: string) => Channel;
  readonly SharedWorker?: new (
    url: string,
    options: { readonly name: string },
  ) => { onerror: (() => void) | null };
}

/** The browser's own; undefined where it has no Web Locks: on pages without https, and in Node. */
export function tabsBrowser(worker?: string): TabsBrowser | undefined {
  const { addEventListener, navigator, BroadcastChannel, SharedWorker } =
    globalThis as unknown as WorkerGlobals;
  const locks = navigator?.locks;
  // Node has locks and channels, from release 24 on, and no pages.
  if (locks === undefined || BroadcastChannel === undefined || addEventListener === undefined)
    return undefined;
  return {
    locks,
    openChannel: (name) => new BroadcastChannel(name),
    startWorker:
      worker === undefined || SharedWorker === undefined
        ? undefined
        : (name, failed) => {
            // A script that cannot be loaded, or that the page's policy forbids.
            try {
              new SharedWorker(worker, { name }).onerror = failed;
            } catch {
              failed();
            }
          },
  };
}

/**
 * Holds a lock until the signal. Resolves when the lock is held; `lost` is called if another page has taken it. Rejects
 * where the page may have no locks: in a frame of another origin, say.
 */
export function holdLock(
  { locks }: Pick<TabsBrowser, 'locks'>,
  name: string,
  signal: AbortSignal,
  { steal = false, lost }: { readonly steal?: boolean | undefined; readonly lost?: () => void } = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    let isHeld = false;
    const held = () =>
      new Promise<void>((release) => {
        if (signal.aborted) return release();
        signal.addEventListener('abort', () => release(), { once: true });
        isHeld = true;
        resolve();
      });
    // A request that steals cannot be aborted.
    locks.request(name, steal ? { steal } : { signal }, held).catch((error: Error) => {
      if (signal.aborted) return;
      if (isHeld) lost?.();
      else reject(error);
    });
  });
}
