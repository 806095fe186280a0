import type { SharedStore } from '../../replicas/shared-store.js';
import type { Log } from '../../telemetry/log.js';
import type { AdminCaller } from './admin-route.js';

/** One change, or attempted change, by an operator. */
export interface AuditRecord {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly user_id: string;
  readonly address: string;
  readonly replica_id: string;
  /** Method and path, as called. */
  readonly action: string;
  /** What was asked for, without secrets. */
  readonly request: unknown;
  /** `ok`, or the code of the error. */
  readonly result: string;
}

export interface AuditLogDependencies {
  readonly store: SharedStore;
  readonly log: Log;
  readonly replicaId: string;
  readonly nowMs: () => number;
}

const key = 'audit';
const secretKey = /token|secret|password|authorization/i;
const requestLimit = 2000;

/** Who has changed what, from where, and with which result: a stream in the store, and a line in the log. */
export class AuditLog {
  constructor(
    private readonly dependencies: AuditLogDependencies,
    private readonly settings: { readonly size: number },
  ) {}

  /** Never rejects: the change has been made. If the store has gone meanwhile, the log line is what remains. */
  async add(caller: AdminCaller, action: string, request: unknown, result: string): Promise<void> {
    const { store, log, replicaId, nowMs } = this.dependencies;
    const text = textOf(request);
    const fields = {
      at: String(nowMs()),
      user_id: caller.identity.userId,
      address: caller.address,
      replica_id: replicaId,
      action,
      request: text.length <= requestLimit ? text : JSON.stringify(`${text.slice(0, requestLimit)}…`),
      result,
    };
    log.info('Admin request', fields);
    try {
      await store.append(key, fields, this.settings.size);
    } catch (error) {
      log.error('Audit record not stored', { ...fields, error });
    }
  }

  /** The newest first; with `before`, those older than the record of that id. @throws RefusalError `unavailable` */
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

/** Nesting that cannot be written must not keep a change out of the log. */
function textOf(request: unknown): string {
  try {
    return JSON.stringify(request ?? null, (name, value: unknown) =>
      secretKey.test(name) && typeof value === 'string' ? '[redacted]' : value,
    );
  } catch {
    return '"[cannot be written]"';
  }
}
