import type { SharedStore, StoredRecord } from '../../cluster/shared-store.js';
import type { Log } from '../../logging/log.js';
import type { AuditFields } from './audit-record.js';

/** Records that may wait for the store; beyond this number the oldest are only in the log. */
const waitingLimit = 1000;

/** A list of records in the store. Records that cannot be stored wait until the store is reachable. */
export class AuditStream {
  private readonly waiting: AuditFields[] = [];
  private isStoring = false;

  constructor(
    private readonly dependencies: { readonly store: SharedStore; readonly log: Log },
    private readonly settings: {
      /** The name of the list in the store. */
      readonly key: string;
      readonly size: number;
    },
  ) {}

  /** Never rejects. */
  async add(fields: AuditFields): Promise<void> {
    this.waiting.push(fields);
    if (this.waiting.length > waitingLimit)
      this.dependencies.log.error('Audit record not stored', { ...this.waiting.shift() });
    await this.storeWaiting();
  }

  /** Stores the waiting records, in order. Never rejects. */
  async storeWaiting(): Promise<void> {
    // The running call also stores records that are added meanwhile.
    if (this.isStoring) return;
    this.isStoring = true;
    const { store, log } = this.dependencies;
    try {
      for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
        await store.append(this.settings.key, next, this.settings.size);
        if (this.waiting[0] === next) this.waiting.shift();
      }
    } catch (error) {
      // An append without a response is repeated: a duplicate record is better than a missing one.
      log.warn('Audit records wait for the store', { waiting: this.waiting.length, error });
    } finally {
      this.isStoring = false;
    }
  }

  /** @throws RefusalError `unavailable` */
  latest(limit: number, before: string | undefined): Promise<StoredRecord[]> {
    return this.dependencies.store.latest(this.settings.key, limit, before);
  }
}
