import assert from 'node:assert/strict';
import { DeliveryRecord } from '../../../server/tracing/delivery-record.js';

const who = (userId: string, id = `c-${userId}`) => ({ id, connectedAt: 1, identity: { userId } });
const at = (sequence: number) => ({ epoch: 'e', sequence });

describe('[WHY] what a replica remembers of subscribers', () => {
  let now = 100;
  const record = (more: object = {}) =>
    new DeliveryRecord({ now: () => now }, { notes: 100, userNotes: 20, acknowledgements: 50, ...more });
  beforeEach(() => (now = 100));

  it('knows everything since its start, also of a user it has never seen', () => {
    const kept = record().of('ann');
    assert.deepEqual([kept.notes.length, kept.completeSince], [0, 100]);
  });

  it('drops the oldest notes of a user with many, and says since when it knows all', () => {
    const notes = record();
    for (let n = 1; n <= 30; n++) {
      now = 100 + n;
      notes.ended(who('ann'), 'news', at(n), at(n + 1));
    }
    const { notes: kept, completeSince } = notes.of('ann');
    assert.ok(kept.length <= 20);
    assert.equal(completeSince, kept[0]!.at - 1);
    assert.equal(notes.of('bob').completeSince, 100, 'nothing of others is missing');
  });

  it('drops those about whom nothing was noted for the longest time, whatever one user does', () => {
    const notes = record();
    notes.ended(who('quiet'), 'news', at(1), at(2));
    for (let n = 0; n < 1000; n++) {
      now = 200 + n;
      notes.ended(who('loud'), 'news', at(n), at(n + 1));
    }
    assert.equal(notes.of('quiet').notes.length, 1);
    for (let n = 0; n < 100; n++) notes.ended(who(`user${n}`), 'news', at(1), at(2));
    assert.equal(notes.of('quiet').notes.length, 0);
    assert.ok(notes.of('quiet').completeSince >= 100);
    assert.ok(notes.of('loud').completeSince > 1000, 'it has been dropped too');
  });

  it('is bounded in pauses, refusals and acknowledgements', () => {
    const notes = record();
    for (let n = 0; n < 500; n++) {
      notes.resumed(notes.paused(who('ann'), 'news', at(n)), at(n + 1));
      notes.refused(who('ann'), 'news', 'forbidden');
      notes.refused(who(`user${n}`), 'news', 'forbidden');
      notes.acknowledged(`message${n}`, 'c1');
    }
    const { pauses, refused } = notes.of('ann');
    assert.deepEqual([pauses.length, refused.length], [50, 50]);
    assert.equal(notes.of('user1').refused.length, 0);
    assert.equal(notes.acknowledgementsOf('message1').length, 0);
    assert.equal(notes.acknowledgementsOf('message499').length, 1);
  });

  it('keeps no refused texts that are no names of topics', () => {
    const notes = record();
    notes.refused(who('ann'), 'x'.repeat(100_000), 'invalid_topic');
    notes.refused(who('ann'), 'secret', 'forbidden');
    assert.deepEqual(
      notes.of('ann').refused.map(({ topic }) => topic),
      ['secret'],
    );
  });
});
