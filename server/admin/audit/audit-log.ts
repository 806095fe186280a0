import { errorTable, type ErrorCode } from '../../../shared/errors.js';
import type { SharedStore } from '../../cluster/shared-store.js';
import type { Log } from '../../logging/log.js';
import { hasRole, type AdminCaller } from '../admin-route.js';
import { auditFields, readRecord, type AuditFields, type AuditRecord } from './audit-record.js';
import { AuditStream } from './audit-stream.js';
import { RefusalTally } from './refusal-tally.js';

interface AuditLogDependencies {
  readonly store: SharedStore;
  readonly log: Log;
  readonly replicaId: string;
  readonly now: () => number;
}

/** A request to record. */
interface AuditedRequest {
  /** Method and path, as called. */
  readonly action: string;
  readonly content: unknown;
  /** `ok`, or the code of the error. */
  readonly result: string;
  /** Whether the caller has the role for it. */
  readonly isAllowed: boolean;
}

/** The id of a record of the list of refusals ends with this: ids of two lists can be the same. */
const refusalMark = '-r';
const sumUpMs = 10_000;

/**
 * The changes of operators, with address and result: a list in the store, and a line in the log. Requests that were
 * refused, whoever sent them, are in a list of their own: they can never displace the record of a change. Those of callers without any role of an
 * operator are summed up.
 */
export class AuditLog {
  private readonly changes: AuditStream;
  private readonly refusals: AuditStream;
  /** Refused requests of those with the role: in the same list, but they do not wait for the others. */
  private readonly wrong: AuditStream;
  private readonly tally: RefusalTally;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly dependencies: AuditLogDependencies,
    settings: { readonly size: number },
  ) {
    const { size } = settings;
    this.changes = new AuditStream(dependencies, { key: 'audit', size });
    this.refusals = new AuditStream(dependencies, { key: 'audit-refusals', size });
    this.wrong = new AuditStream(dependencies, { key: 'audit-refusals', size });
    const { now } = dependencies;
    this.tally = new RefusalTally({ now, write: (fields) => this.write(this.refusals, fields) });
    this.timer = setInterval(() => void this.tally.sumUp(), sumUpMs).unref();
  }

  /** Never rejects, because the change has already been made or refused. */
  async add(caller: AdminCaller, request: AuditedRequest): Promise<void> {
    const { replicaId, now } = this.dependencies;
    const fields = auditFields(caller, request, { at: now(), replicaId });
    if (request.isAllowed)
      await this.write(mayHaveChanged(request.result) ? this.changes : this.wrong, fields);
    else if (hasRole(caller.identity, 'viewer')) await this.write(this.refusals, fields);
    else await this.tally.add(fields);
  }

  /** Stores the waiting records, in order; called when the store becomes reachable. Never rejects. */
  async store(): Promise<void> {
    await this.changes.storeWaiting();
    await this.refusals.storeWaiting();
    await this.wrong.storeWaiting();
  }

  /**
   * The newest of both lists first; with `before`, those older than the record of that id.
   *
   * @throws RefusalError `unavailable`
   */
  async latest(limit: number, before?: string): Promise<AuditRecord[]> {
    const [changes, refusals] = await Promise.all([
      this.changes.latest(limit, changesBefore(before)),
      this.refusals.latest(limit, before?.replace(refusalMark, '')),
    ]);
    return [
      ...changes.map(readRecord),
      ...refusals.map(readRecord).map((record) => ({ ...record, id: record.id + refusalMark })),
    ]
      .sort((one, other) => compareIds(other.id, one.id))
      .slice(0, limit);
  }

  /** Records what has been counted until now. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.tally.sumUp(true);
  }

  private async write(stream: AuditStream, fields: AuditFields): Promise<void> {
    this.dependencies.log.info('Admin request', fields);
    await stream.add(fields);
  }
}

/**
 * Whether a request has changed something, or may have: also one that was not answered in time, or failed half way. One that was
 * refused has not: else whoever may change something could remove the record of it by thousands of wrong requests.
 */
function mayHaveChanged(result: string): boolean {
  const status = result === 'ok' ? 200 : (errorTable[result as ErrorCode]?.http ?? 500);
  return status < 400 || status >= 500;
}

/** Of two records with the same id, the refusal counts as the newer one: after it comes the change of that id. */
function changesBefore(before: string | undefined): string | undefined {
  if (before?.endsWith(refusalMark) !== true) return before;
  const [at, sequence] = numbersOf(before);
  return `${at}-${sequence + 1}`;
}

function compareIds(one: string, other: string): number {
  const [oneAt, oneSequence] = numbersOf(one);
  const [otherAt, otherSequence] = numbersOf(other);
  return (
    oneAt - otherAt ||
    oneSequence - otherSequence ||
    Number(one.endsWith(refusalMark)) - Number(other.endsWith(refusalMark))
  );
}

function numbersOf(id: string): [at: number, sequence: number] {
  const [at = 0, sequence = 0] = id.split('-', 2).map(Number);
  return [at, sequence];
}
