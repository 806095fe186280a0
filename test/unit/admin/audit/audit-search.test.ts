import assert from 'node:assert/strict';
import type { AuditRecord } from '../../../../server/admin/audit/audit-record.js';
import { searchAudit } from '../../../../server/admin/audit/audit-search.js';

/** Records with the ids 5000-0 down to 1-0. */
const all = Array.from({ length: 5000 }, (_, n): AuditRecord => ({
  ...{
    id: `${5000 - n}-0`,
    at: 5000 - n,
    user_id: n % 2 === 0 ? 'olga' : 'ivan',
    address: '',
    replica_id: '',
  },
  ...{
    action: n % 1000 === 0 ? 'DELETE /admin/topics/news/history' : 'POST /admin/broadcast',
    request: {},
    count: 1,
  },
  result: n % 500 === 0 ? 'forbidden' : 'ok',
}));
const audit = {
  latest: (limit: number, before?: string) => {
    const from = before === undefined ? 0 : all.findIndex(({ id }) => id === before) + 1;
    return Promise.resolve(all.slice(from, from + limit));
  },
};

describe('[AUDIT] the search in the audit log', () => {
  it('finds records by operator, action and result, and continues where it stopped', async () => {
    const query = { limit: 2, user: 'olga', action: 'news', result: 'refused' as const };
    const first = await searchAudit(audit, query);
    assert.deepEqual(
      first.records.map(({ id }) => id),
      ['5000-0', '4000-0'],
    );
    assert.equal(first.before, '4000-0');
    const second = await searchAudit(audit, { ...query, before: first.before });
    assert.deepEqual(
      second.records.map(({ id }) => id),
      ['3000-0', '2000-0'],
    );
  });

  it('gives up after some reads, with a cursor', async () => {
    const { records, before } = await searchAudit(
      { latest: (limit) => audit.latest(limit) },
      { limit: 5, user: 'nobody' },
    );
    assert.deepEqual(records, []);
    assert.equal(before, '4501-0');
  });

  it('without a search reads no more than is asked for', async () => {
    const limits: number[] = [];
    const latest = (limit: number) => {
      limits.push(limit);
      return audit.latest(limit);
    };
    await searchAudit({ latest }, { limit: 7 });
    assert.deepEqual(limits, [7]);
  });
});
