import type { OutgoingItem, OutgoingStore } from './outgoing.js';

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

interface Row {
  readonly key: string;
  /** Rows are sent in this order. */
  readonly order: number;
  readonly item: OutgoingItem;
}

const storeName = 'outgoing';

/**
 * Keeps what is published in IndexedDB until it is confirmed: `createClient({ outgoing: { store: createOutbox() } })`. A page
 * that is closed or reloaded sends it when it is opened again, with the same keys.
 */
export function createOutbox({ name = 'rtc_outbox' }: { readonly name?: string } = {}): OutgoingStore {
  let opened: Promise<Database> | undefined;
  let made = 0;

  const open = () =>
    (opened ??= new Promise((resolve, reject) => {
      const { indexedDB } = globalThis as unknown as {
        indexedDB: { open(name: string, version: number): OpenRequest };
      };
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(storeName, { keyPath: 'key' });
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => {
        opened = undefined;
        reject(request.error ?? new Error('IndexedDB cannot be opened'));
      };
    }));

  /** Resolves when the transaction is on the disk. */
  async function change(
    run: (rows: ReturnType<ReturnType<Database['transaction']>['objectStore']>) => void,
  ): Promise<void> {
    const database = await open();
    await new Promise<void>((resolve, reject) => {
      const transaction = database.transaction(storeName, 'readwrite', { durability: 'strict' });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('IndexedDB has refused a write'));
      run(transaction.objectStore(storeName));
    });
  }

  return {
    async load() {
      const database = await open();
      const rows = await new Promise<Row[]>((resolve, reject) => {
        const request = database.transaction(storeName, 'readonly').objectStore(storeName).getAll();
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error('IndexedDB cannot be read'));
      });
      return rows.sort((a, b) => a.order - b.order).map(({ item }) => item);
    },
    put(item) {
      const { key } = item.body;
      const order = Date.now() * 1000 + (made++ % 1000);
      return change((rows) => {
        const former = rows.get(key);
        // It keeps its place when it is marked as sent.
        former.onsuccess = () => rows.put({ key, order: former.result?.order ?? order, item });
      });
    },
    remove: (key) => change((rows) => void rows.delete(key)),
  };
}
