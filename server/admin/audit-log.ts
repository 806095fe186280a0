import type { SharedStore } from '../cluster/shared-store.js';
import type { Log } from '../logging/log.js';
import { cleanValue } from '../logging/log-fields.js';
import { cleanText } from '../logging/log-text.js';
import type { AdminCaller } from './admin-route.js';

/** One change, or attempted change, by an operator. */
interface AuditRecord {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly user_id: string;
  readonly address: string;
  readonly replica_id: string;
  /** Method and path, as called. */
  readonly action: string;
  /** The request, without secrets. */
  readonly request: unknown;
  /** `ok`, or the code of the error. */
  readonly result: string;
}

interface AuditLogDependencies {
  readonly store: SharedStore;
  readonly log: Log;
  readonly replicaId: string;
  readonly now: () => number;
}

const key = 'audit';
const requestLimit = 2000;
/** Records that may wait for the store; beyond this number the oldest are only in the log. */
const waitingLimit = 1000;

type Fields = Readonly<Record<string, string>>;

/**
 * The changes of operators, with address and result: a stream in the store, and a line in the log. Records
 * that cannot be stored wait until the store is reachable.
 */
export class AuditLog {
  private readonly waiting: Fields[] = [];
  private isStoring = false;

  constructor(
    private readonly dependencies: AuditLogDependencies,
    private readonly settings: { readonly size: number },
  ) {}

  /** Never rejects, because the change has already been made or refused. */
  async add(caller: AdminCaller, action: string, request: unknown, result: string): Promise<void> {
    const { log, replicaId, now } = this.dependencies;
    const text = JSON.stringify(cleanValue('', request ?? null));
    const fields = {
      at: String(now()),
      user_id: caller.identity.userId,
      address: caller.address,
      replica_id: replicaId,
      action: cleanText(action),
      request: text.length <= requestLimit ? text : JSON.stringify(`${text.slice(0, requestLimit)}…`),
      result,
    };
    log.info('Admin request', fields);
    this.waiting.push(fields);
    if (this.waiting.length > waitingLimit) log.error('Audit record not stored', { ...this.waiting.shift() });
    await this.store();
  }

  /** Stores the waiting records, in order; called when the store becomes reachable. Never rejects. */
  async store(): Promise<void> {
    // The running call also stores records that are added meanwhile.
    if (this.isStoring) return;
    this.isStoring = true;
    const { store, log } = this.dependencies;
    try {
      for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
        await store.append(key, next, this.settings.size);
        if (this.waiting[0] === next) this.waiting.shift();
      }
    } catch (error) {
      // An append without a response is repeated: a duplicate record is better than a missing one.
      log.warn('Audit records wait for the store', { waiting: this.waiting.length, error });
    } finally {
      this.isStoring = false;
    }
  }

  /**
   * The newest first; with `before`, those older than the record of that id.
   *
   * @throws RefusalError `unavailable`
   */
  async latest(limit: number, before?: string): Promise<AuditRecord[]> {
    const records = await this.dependencies.store.latest(key, limit, before);
    return records.map(({ id, fields }) => ({
      id,
      at: Number(fields['at']),
      user_id: fields['user_id'] ?? '',
      address: fields['address'] ?? '',
      replica_id: fields['replica_id'] ?? '',
      action: fields['action'] ?? '',
      request: JSON.parse(fields['request'] ?? 'null') as unknown,
      result: fields['result'] ?? '',
    }));
  }
}
