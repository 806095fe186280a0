import type { AuditLog } from './audit-log.js';
import type { AuditRecord } from './audit-record.js';

/** Selects records; each given field has to match. */
interface AuditQuery {
  readonly limit: number;
  /** Only records older than the one of this id. */
  readonly before?: string | undefined;
  readonly user?: string | undefined;
  /** A part of method and path. */
  readonly action?: string | undefined;
  readonly result?: 'ok' | 'refused' | undefined;
}

/** Records read at once by a search, and reads for one answer: after that it ends with a cursor. */
const readSize = 500;
const readsMax = 10;

/**
 * The newest records that match. `before` continues the list; null: there are no older ones.
 *
 * @throws RefusalError `unavailable`
 */
export async function searchAudit(
  audit: Pick<AuditLog, 'latest'>,
  { limit, before, ...wanted }: AuditQuery,
): Promise<{ records: AuditRecord[]; before: string | null }> {
  const isSearch = Object.values(wanted).some((value) => value !== undefined);
  const size = isSearch ? readSize : limit;
  const records: AuditRecord[] = [];
  let from = before;
  for (let reads = 0; reads < readsMax; reads++) {
    const page = await audit.latest(size, from);
    for (const record of page) {
      from = record.id;
      if (fits(record, wanted)) records.push(record);
      if (records.length >= limit) return { records, before: from };
    }
    if (page.length < size) return { records, before: null };
  }
  return { records, before: from ?? null };
}

function fits(record: AuditRecord, { user, action, result }: Omit<AuditQuery, 'limit'>): boolean {
  return (
    (user === undefined || record.user_id === user) &&
    (action === undefined || record.action.includes(action)) &&
    (result === undefined || (record.result === 'ok') === (result === 'ok'))
  );
}
