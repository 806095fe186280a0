import type { OutgoingItem } from './outgoing.js';
import type { OutgoingStore } from './outgoing-store.js';

interface Request<Value> {
  readonly result: Value;
  readonly error: Error | null;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
}

interface OpenRequest extends Request<Database> {
  onupgradeneeded: (() => void) | null;
}

/** What is used of IndexedDB. */
interface Database {
  onversionchange: (() => void) | null;
  onclose: (() => void) | null;
  close(): void;
  createObjectStore(name: string, options: { keyPath: string }): unknown;
  transaction(
    name: string,
    mode: 'readonly' | 'readwrite',
    options?: { durability: 'strict' },
  ): {
    objectStore(name: string): {
      getAll(): Request<Row[]>;
      get(key: string): Request<Row | undefined>;
      put(row: Row): Request<unknown>;
      delete(key: string): Request<undefined>;
    };
    oncomplete: (() => void) | null;
    onabort: (() => void) | null;
    readonly error: Error | null;
  };
}

/** What is used of the Web Locks. */
interface Locks {
  request(
    name: string,
    options: { readonly signal: AbortSignal },
    run: () => Promise<void>,
  ): Promise<unknown>;
  query(): Promise<{ readonly held?: readonly { readonly name: string }[] }>;
}

interface Page {
  readonly indexedDB: { open(name: string, version: number): OpenRequest };
  readonly navigator?: { readonly locks?: Locks };
  addEventListener?(type: string, listener: () => void, options: { readonly signal: AbortSignal }): void;
}

interface Row {
  readonly key: string;
  /** Rows are sent in this order. */
  readonly order: number;
  readonly item: OutgoingItem;
  /** The page that has published it. Undefined: an earlier release. */
  readonly owner?: string;
}

const storeName = 'outgoing';
/** How often one of the open pages looks for what closed ones have left, in milliseconds. */
const lookEveryMs = 15_000;

/** Behind all rows of this page, however many it makes in a millisecond, and whatever its clock does; and behind those of earlier pages. */
export function orderAfter(last: number, wallTime: number): number {
  return Math.max(last + 1, wallTime * 1000);
}

/** Keeps items in IndexedDB. Pages that are open see by Web Locks which others are. */
export function indexedDbStore(name: string): OutgoingStore {
  const owner = `${name}/${Math.random().toString(36).slice(2)}`;
  let opened: Promise<Database> | undefined;
  let lastOrder = 0;
  /** Other pages can see that this one is there. */
  let isKnown: Promise<void> | undefined;
  const page = globalThis as unknown as Page;

  const open = () =>
    (opened ??= new Promise((resolve, reject) => {
      const request = page.indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(storeName, { keyPath: 'key' });
      request.onsuccess = () => {
        const database = request.result;
        // Another page deletes it, which waits until it is closed here; or the browser has removed it. The next use makes it anew.
        database.onversionchange = database.onclose = () => {
          database.close();
          opened = undefined;
        };
        resolve(database);
      };
      request.onerror = () => {
        opened = undefined;
        reject(request.error);
      };
    }));

  type Change = (rows: ReturnType<ReturnType<Database['transaction']>['objectStore']>) => void;

  /** Resolves when the change is on the disk. The browser may have removed the database meanwhile: it is made anew, once. */
  const change = (run: Change) =>
    write(run).catch(() => {
      opened = undefined;
      return write(run);
    });

  async function write(run: Change): Promise<void> {
    const database = await open();
    await new Promise<void>((resolve, reject) => {
      const transaction = database.transaction(storeName, 'readwrite', { durability: 'strict' });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      run(transaction.objectStore(storeName));
    });
  }

  /** Rows of this page, and of pages that are gone. Without Web Locks nobody knows which are: all rows. */
  async function left(): Promise<Row[]> {
    const database = await open();
    const rows = await new Promise<Row[]>((resolve, reject) => {
      const request = database.transaction(storeName, 'readonly').objectStore(storeName).getAll();
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const { held = [] } = (await page.navigator?.locks?.query()) ?? {};
    const isLeft = (row: Row) => row.owner === owner || !held.some((lock) => lock.name === row.owner);
    return rows.filter(isLeft).sort((a, b) => a.order - b.order);
  }

  return {
    load: async () => (await left()).map(({ item }) => item),
    async put(item) {
      const { key } = item.body;
      const order = (lastOrder = orderAfter(lastOrder, Date.now()));
      await isKnown;
      await change((rows) => void rows.put({ key, order, item, owner }));
    },
    async sending(key, at) {
      let sentAt: number | undefined;
      await change((rows) => {
        const former = rows.get(key);
        former.onsuccess = () => {
          if (former.result === undefined) return;
          const { item } = former.result;
          sentAt = item.sentAt ?? at;
          rows.put({ ...former.result, item: { ...item, sentAt } });
        };
      });
      return sentAt;
    },
    remove: (key) => change((rows) => void rows.delete(key)),
    watch(onLeft) {
      const locks = page.navigator?.locks;
      // Node has locks, from release 24 on, and no pages.
      if (locks === undefined || page.addEventListener === undefined) return () => {};
      let present: AbortController | undefined;
      let timer: ReturnType<typeof setInterval> | undefined;
      const look = async () => {
        if ((await left()).some((row) => row.owner !== owner)) onLeft();
      };
      const hold = (lock: string, held?: () => void) =>
        new Promise<void>((resolve) => {
          const { signal } = present!;
          const until = () =>
            new Promise<void>((release) => {
              signal.addEventListener('abort', () => release());
              held?.();
              resolve();
            });
          locks.request(lock, { signal }, until).catch(() => resolve());
        });
      const come = () => {
        if (present !== undefined) return;
        present = new AbortController();
        isKnown = hold(owner);
        // One page at a time looks for what others have left.
        void hold(name, () => {
          const lookNow = () => void look().catch(() => {});
          lookNow();
          timer = setInterval(lookNow, lookEveryMs);
        });
      };
      // A held lock keeps a page out of the back/forward cache.
      const go = () => {
        clearInterval(timer);
        present?.abort();
        present = undefined;
      };
      come();
      const listening = new AbortController();
      page.addEventListener('pageshow', come, listening);
      page.addEventListener('pagehide', go, listening);
      return () => {
        go();
        listening.abort();
      };
    },
  };
}
