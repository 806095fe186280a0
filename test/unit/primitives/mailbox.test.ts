import assert from 'node:assert/strict';
import { Mailbox } from '../../../server/primitives/mailbox.js';
import { growthOfOld, idle, youngObject } from '../../support/old-generation.js';

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
    const inMemory = mailbox['items']!.length;
    assert.ok(inMemory < 2000, `${inMemory} are in memory`);
    assert.equal(mailbox.size, 10);
    assert.deepEqual(mailbox.take(2), [99_990, 99_991]);
  });

  it('with room for one item, has the newest', () => {
    const mailbox = new Mailbox<number>(1, 'drop_oldest');
    for (let n = 0; n < 5; n++) mailbox.offer(n);
    assert.deepEqual([mailbox.size, mailbox.take(5)], [1, [4]]);
  });

  it('keeps nothing that was taken in the old generation of the heap, however long it was empty before', () => {
    const mailboxes = Array.from({ length: idle }, () => new Mailbox<object>(10, 'reject'));
    const grown = growthOfOld(40_000, (at) => {
      mailboxes[at]!.offer(youngObject());
      assert.equal(mailboxes[at]!.take(10).length, 1);
    });
    assert.ok(grown < 5_000_000, `${grown} bytes`);
  });
});
