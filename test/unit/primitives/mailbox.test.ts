import assert from 'node:assert/strict';
import { Mailbox } from '../../../server/primitives/mailbox.js';

describe('Mailbox', () => {
  it('refuses the new item when it is full, and keeps the order', () => {
    const mailbox = new Mailbox<number>(3, 'reject');
    assert.deepEqual(
      [1, 2, 3, 4].map((item) => mailbox.offer(item)),
      [undefined, undefined, undefined, 4],
    );
    assert.deepEqual([mailbox.take(2), mailbox.take(2), mailbox.size], [[1, 2], [3], 0]);
  });

  it('refuses the oldest item when it is full, one for each, and keeps the order', () => {
    const mailbox = new Mailbox<number>(3, 'drop_oldest');
    assert.deepEqual(
      [1, 2, 3, 4, 5].map((item) => mailbox.offer(item)),
      [undefined, undefined, undefined, 1, 2],
    );
    assert.deepEqual([mailbox.size, mailbox.take(10), mailbox.size], [3, [3, 4, 5], 0]);
  });

  it('does not keep the items that it has refused, however long nothing is taken from it', () => {
    const mailbox = new Mailbox<number>(10, 'drop_oldest');
    for (let n = 0; n < 100_000; n++) assert.equal(mailbox.offer(n), n < 10 ? undefined : n - 10);
    assert.ok(mailbox['items'].length < 2000, `${mailbox['items'].length} are in memory`);
    assert.equal(mailbox.size, 10);
    assert.deepEqual(mailbox.take(2), [99_990, 99_991]);
  });

  it('with room for one item, has the newest', () => {
    const mailbox = new Mailbox<number>(1, 'drop_oldest');
    for (let n = 0; n < 5; n++) mailbox.offer(n);
    assert.deepEqual([mailbox.size, mailbox.take(5)], [1, [4]]);
  });
});
