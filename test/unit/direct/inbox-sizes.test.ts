import assert from 'node:assert/strict';
import { InboxSizes } from '../../../server/direct/inbox-sizes.js';
import type { LogSize } from '../../../server/log/broker.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[METRIC] the sizes of inboxes', () => {
  let clock: FakeClock;
  let asked: (readonly string[])[];
  let answer: (topics: readonly string[]) => Promise<LogSize[]>;
  let sizes: InboxSizes;
  beforeEach(() => {
    clock = new FakeClock();
    asked = [];
    const broker = {
      sizes: (topics: readonly string[]) => {
        asked.push(topics);
        return answer(topics);
      },
    };
    sizes = new InboxSizes({ broker, clock }, { messages: 100, bytes: 1000, names: 3, everyMs: 10_000 });
  });
  afterEach(() => sizes.close());
  const names = () => sizes.fullest(10).map(({ userId }) => userId);

  it('are those of the fullest, in messages or bytes, of any number of inboxes', () => {
    for (let n = 0; n < 1000; n++) sizes.added(`user-${n}`, { messages: 1, bytes: 10 });
    assert.equal(names().length, 3);
    sizes.added('many', { messages: 50, bytes: 100 });
    sizes.added('large', { messages: 2, bytes: 900 });
    sizes.added('constructor', { messages: 20, bytes: 100 });
    sizes.added('late', { messages: 1, bytes: 10 });
    assert.deepEqual(sizes.fullest(10), [
      { userId: 'large', messages: 2, bytes: 900, filledPercent: 90 },
      { userId: 'many', messages: 50, bytes: 100, filledPercent: 50 },
      { userId: 'constructor', messages: 20, bytes: 100, filledPercent: 20 },
    ]);
    const { p50, p95, p99, count } = sizes.summary();
    assert.deepEqual([p50, p95, count], [1, 1, 1004]);
    assert.ok(p99 >= 1);
  });

  it('follow what is read elsewhere, and cost nothing when all are empty', async () => {
    sizes.added('ann', { messages: 3, bytes: 30 });
    sizes.added('bob', { messages: 2, bytes: 20 });
    answer = () =>
      Promise.resolve([
        { messages: 1, bytes: undefined },
        { messages: 0, bytes: 0 },
      ]);
    await clock.advance(10_000);
    assert.deepEqual(asked, [['$user/ann', '$user/bob']]);
    assert.deepEqual(sizes.fullest(10), [{ userId: 'ann', messages: 1, bytes: 30, filledPercent: 3 }]);
    answer = () => Promise.resolve([{ messages: 0, bytes: 0 }]);
    await clock.advance(10_000);
    assert.deepEqual(names(), []);
    await clock.advance(100_000);
    assert.equal(asked.length, 2);
    sizes.added('ann', { messages: 1, bytes: 10 });
    await clock.advance(10_000);
    assert.equal(asked.length, 3);
  });

  it('stay as they are while the store is unavailable, and what was added meanwhile counts', async () => {
    sizes.added('ann', { messages: 3, bytes: 30 });
    answer = () => Promise.reject(new Error('unavailable'));
    await clock.advance(10_000);
    assert.deepEqual(names(), ['ann']);
    answer = (topics) => {
      sizes.added('ann', { messages: 9, bytes: 90 });
      return Promise.resolve(topics.map(() => ({ messages: 0, bytes: 0 })));
    };
    await clock.advance(10_000);
    assert.equal(sizes.fullest(1)[0]?.messages, 9);
    sizes.close();
    await clock.advance(100_000);
    assert.equal(asked.length, 2);
  });
});
