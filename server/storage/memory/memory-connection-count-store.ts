import type { ConnectionCountStore } from '../../limits/connection-count-store.js';

/** A replica that is alone holds all connections there are. */
export class MemoryConnectionCountStore implements ConnectionCountStore {
  async set(): Promise<void> {}

  async elsewhere(): Promise<number> {
    return Promise.resolve(0);
  }

  async replace(): Promise<void> {}

  async close(): Promise<void> {}
}
