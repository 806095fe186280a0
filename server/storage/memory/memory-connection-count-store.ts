import type { ConnectionCountStore } from '../../limits/connection-count-store.js';

/** Connection counts of a replica that runs alone: there are no connections elsewhere. */
export class MemoryConnectionCountStore implements ConnectionCountStore {
  async set(): Promise<void> {}

  async elsewhere(): Promise<number> {
    return Promise.resolve(0);
  }

  async replace(): Promise<void> {}

  async close(): Promise<void> {}
}
