import assert from 'node:assert/strict';
import { FairQueue } from '../../../server/hooks/pool/fair-queue.js';

describe('[HOOKS] the queue before the workers for hooks', () => {
  it('lets topics take turns, however many calls one has', () => {
    const queue = new FairQueue<number>({ share: 1 });
    for (let i = 0; i < 100; i++) queue.add('busy', i);
    queue.add('quiet', 1);
    const order = Array.from({ length: 4 }, () => {
      const turn = queue.next();
      if (turn !== undefined) queue.ended(turn.key);
      return turn?.key;
    });
    assert.deepEqual(order, ['busy', 'quiet', 'busy', 'busy']);
    assert.equal(queue.size, 97);
  });

  it('does not let a topic run more than its share', () => {
    const queue = new FairQueue<number>({ share: 2 });
    for (let i = 0; i < 4; i++) queue.add('t', i);
    assert.deepEqual([queue.next()?.job, queue.next()?.job, queue.next()], [0, 1, undefined]);
    queue.ended('t');
    assert.deepEqual([queue.next()?.job, queue.next()], [2, undefined]);
  });

  it('gives back all that waits when it is cleared, and takes further calls', () => {
    const queue = new FairQueue<number>({ share: 1 });
    for (let i = 0; i < 3; i++) queue.add('t', i);
    assert.equal(queue.next()?.job, 0);
    assert.deepEqual(queue.clear(), [1, 2]);
    queue.add('t', 3);
    assert.equal(queue.next(), undefined);
    queue.ended('t');
    assert.equal(queue.next()?.job, 3);
  });

  it('gives back all that waits, however many calls of one topic there are', () => {
    const queue = new FairQueue<number>({ share: 1 });
    for (let i = 0; i < 300_000; i++) queue.add('t', i);
    const jobs = queue.clear();
    assert.deepEqual([jobs.length, jobs[0], jobs.at(-1), queue.size], [300_000, 0, 299_999, 0]);
  });
});
