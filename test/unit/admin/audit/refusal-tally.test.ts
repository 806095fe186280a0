import assert from 'node:assert/strict';
import type { AuditFields } from '../../../../server/admin/audit/audit-record.js';
import { RefusalTally } from '../../../../server/admin/audit/refusal-tally.js';

describe('[ADMIN] sums of refused requests', () => {
  let now: number;
  let written: AuditFields[];
  let tally: RefusalTally;
  beforeEach(() => {
    now = 0;
    written = [];
    tally = new RefusalTally({
      now: () => now,
      write: (fields) => {
        written.push(fields);
        return Promise.resolve();
      },
    });
  });

  it('are for a thousand callers one by one, and for all others together', async () => {
    for (let n = 0; n < 5000; n++) await tally.add({ user_id: `user ${n}`, address: '192.0.2.1' });
    assert.equal(written.length, 1001);
    now = 60_000;
    await tally.sumUp();
    assert.deepEqual(written.slice(1001), [{ user_id: 'user 4999', address: '192.0.2.1', count: '3999' }]);
    await tally.add({ user_id: 'user 0', address: '192.0.2.1' });
    assert.equal(written.length, 1003, 'a new minute has begun');
  });

  it('are of a user at an address', async () => {
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.1'])
      await tally.add({ user_id: 'ann', address });
    await tally.sumUp();
    assert.equal(written.length, 2, 'the minute is not over');
    await tally.sumUp(true);
    assert.deepEqual(written.slice(2), [{ user_id: 'ann', address: '192.0.2.1', count: '1' }]);
  });
});
