import assert from 'node:assert/strict';
import { ErrorReply } from 'redis';
import { RedisAncestry, type RedisOrigin } from '../../../server/storage/redis/redis-ancestry.js';
import type { RedisProcess } from '../../../server/storage/redis/redis-process.js';

const origin = (history: string, ...passed: string[]): RedisOrigin => ({
  histories: [history],
  passed: [history, ...passed],
});

describe('[P5] which of two primaries of Redis is the newer one', () => {
  const judge = (used: RedisOrigin, found: RedisOrigin) => {
    const ancestry = new RedisAncestry('rtc:histories', () => 0);
    ancestry.use(used);
    assert.ok(!(ancestry.isStale(found) && ancestry.isSuccessor(found)));
    return ancestry.isStale(found) ? 'stale' : ancestry.isSuccessor(found) ? 'successor' : 'neither';
  };

  it('is the one that has been through the history of the other, whichever was found first', () => {
    assert.equal(judge(origin('b', 'a'), origin('a')), 'stale');
    assert.equal(judge(origin('a'), origin('b', 'a')), 'successor');
    assert.equal(judge(origin('c', 'b', 'a'), origin('a')), 'stale');
    assert.equal(judge(origin('c', 'b', 'a'), origin('b', 'a')), 'stale');
    assert.equal(judge(origin('a'), origin('c', 'b', 'a')), 'successor');
  });

  it('is not known of two that were promoted from one, of a restored copy, and of an empty one', () => {
    assert.equal(judge(origin('b', 'a'), origin('c', 'a')), 'neither');
    assert.equal(judge(origin('c', 'b', 'a'), origin('d', 'a')), 'neither');
    assert.equal(judge(origin('b', 'a'), origin('d')), 'neither');
  });

  it('is no question where there is only one', () => {
    assert.equal(judge(origin('a'), origin('a')), 'neither');
    assert.equal(judge(origin('b', 'a'), origin('b')), 'neither', 'emptied meanwhile');
    const renamed = { histories: ['a2', 'a'], passed: ['a2', 'a'] };
    assert.equal(judge(origin('a'), renamed), 'neither', 'under another name');
    assert.equal(judge(renamed, origin('a')), 'neither');
    assert.equal(new RedisAncestry('rtc:histories', () => 0).isStale(origin('a')), false);
  });

  it('is known of a Redis that takes no note by its own history alone', async () => {
    const found = { histories: ['b'], promotedFrom: 'a' } as unknown as RedisProcess;
    const refuse = () => Promise.reject(new ErrorReply('OOM command not allowed'));
    const { passed } = await new RedisAncestry('rtc:histories', () => 0).originOf(refuse, found);
    assert.deepEqual(passed, ['b', 'a']);
    const cut = () => Promise.reject(new Error('the connection was lost'));
    await assert.rejects(new RedisAncestry('rtc:histories', () => 0).originOf(cut, found), /lost/);
  });
});
