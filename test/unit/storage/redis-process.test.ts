import assert from 'node:assert/strict';
import { continued, type RedisProcess } from '../../../server/storage/redis/redis-process.js';

describe('[HISTORY] what is known of a Redis process after another look', () => {
  const before: RedisProcess = {
    runId: 'r',
    histories: ['h1', 'h0'],
    promotedFrom: undefined,
    offset: 100,
    fsyncAlways: true,
    hasWaitAof: true,
  };
  const look = { isReplica: false, id: 'h1', promotedFrom: undefined, offset: 120 };

  it('keeps its history, and notes how far that is', () => {
    assert.deepEqual(continued(before, look), { ...before, offset: 120 });
    assert.deepEqual(continued(before, { ...look, id: undefined })?.histories, ['h1', 'h0']);
  });

  it('keeps its history under another name', () => {
    assert.deepEqual(continued(before, { ...look, id: 'h2' })?.histories, ['h2', 'h1', 'h0']);
  });

  it('has another history after it was a replica, and one that is shorter', () => {
    assert.equal(continued(before, { ...look, isReplica: true }), undefined);
    assert.equal(continued(before, { ...look, id: 'h2', promotedFrom: 'h1' }), undefined);
    assert.equal(continued(before, { ...look, offset: 99 }), undefined);
  });

  it('forgets the oldest names: every append carries them all', () => {
    let process = before;
    for (let n = 2; n < 100; n++) process = continued(process, { ...look, id: `h${n}` })!;
    assert.deepEqual(
      process.histories,
      Array.from({ length: 8 }, (_, i) => `h${99 - i}`),
    );
  });
});
