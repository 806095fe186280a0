import assert from 'node:assert/strict';
import { withFewerTopics } from '../../../../server/admin/sessions/fewer-topics.js';
import type { KeptSession } from '../../../../server/sessions/session-store.js';

const session = (id: string, topics: number): KeptSession => ({
  ...{ id, user_id: 'ann', created_at: 1, updated_at: 2, expires_in_secs: 60 },
  topics: Object.fromEntries(
    Array.from({ length: topics }, (_, n) => [`rooms.${n}`, { epoch: 'a1832be354', sequence: n }]),
  ),
});
const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

describe('[ADMIN] sessions in a list', () => {
  it('are shown as they are while there is room', () => {
    const all = [session('a', 3), session('b', 50)];
    assert.deepEqual(withFewerTopics(all, 100_000), all);
  });

  it('lose topics where they are many, and say how many; small ones stay whole', () => {
    const all = [session('small', 3), ...Array.from({ length: 99 }, (_, n) => session(`large-${n}`, 1000))];
    const listed = withFewerTopics(all, 200_000);
    assert.deepEqual(listed[0], all[0]);
    assert.ok(bytesOf(listed) < 201_000, `${bytesOf(listed)} bytes`);
    assert.ok(bytesOf(listed) > 180_000, 'the room is used');
    for (const { topics, topics_left_out: left = 0 } of listed.slice(1)) {
      assert.equal(Object.keys(topics).length + left, 1000);
      assert.ok(left > 0 && left < 1000);
    }
  });
});
