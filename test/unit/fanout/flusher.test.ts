import assert from 'node:assert/strict';
import type { ActiveTopic } from '../../../server/fanout/active-topic.js';
import { Flusher } from '../../../server/fanout/flusher.js';
import type { Outbox } from '../../../server/fanout/outbox.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[HOT] Flusher', () => {
  let clock: FakeClock;
  let flusher: Flusher;
  /** Each flush: the topic, its time, and whether it could share writes. */
  let flushes: { name: string; at: number; shared: boolean }[];
  let written: string[];
  const start = 5000;

  /**
   * A topic with the properties that the flusher needs: no planned flush after a flush, and one staged write.
   */
  const topicCalled = (name: string): ActiveTopic => {
    const outbox = { writeStaged: () => written.push(name) } as unknown as Outbox;
    const topic = {
      name,
      wrote() {},
      dueAt: undefined as number | undefined,
      flush(staged?: Outbox[]) {
        topic.dueAt = undefined;
        flushes.push({ name, at: clock.now() - start, shared: staged !== undefined });
        staged?.push(outbox);
      },
    };
    return topic as unknown as ActiveTopic;
  };

  beforeEach(() => {
    clock = new FakeClock(start);
    flusher = new Flusher({ clock, utilization: () => 0 });
    flushes = [];
    written = [];
  });

  it('flushes a quiet topic at the end of the turn', async () => {
    flusher.schedule(topicCalled('a'), 0);
    assert.deepEqual(flushes, []);
    await clock.runImmediates();
    assert.deepEqual(flushes, [{ name: 'a', at: 0, shared: false }]);
  });

  it('flushes a busy topic when it is due, within a millisecond', async () => {
    const topic = topicCalled('a');
    flusher.schedule(topic, 20);
    assert.equal(topic.dueAt, start + 20);
    await clock.advance(18);
    assert.deepEqual(flushes, []);
    await clock.advance(2);
    assert.equal(flushes.length, 1);
  });

  it('combines the writes of topics that are due together, after all of their flushes', async () => {
    for (const name of ['a', 'b', 'c']) flusher.schedule(topicCalled(name), 10);
    flusher.schedule(topicCalled('later'), 30);
    await clock.advance(10);
    assert.deepEqual(
      flushes.map(({ name, shared }) => [name, shared]),
      [
        ['a', true],
        ['b', true],
        ['c', true],
      ],
    );
    assert.deepEqual(written, ['a', 'b', 'c']);
    await clock.advance(20);
    assert.equal(flushes.at(-1)?.name, 'later');
  });

  it('flushes a topic that is due earlier than those planned before it', async () => {
    flusher.schedule(topicCalled('slow'), 50);
    flusher.schedule(topicCalled('soon'), 5);
    await clock.advance(5);
    assert.deepEqual(
      flushes.map(({ name }) => name),
      ['soon'],
    );
    await clock.advance(45);
    assert.deepEqual(
      flushes.map(({ name, at }) => [name, at]),
      [
        ['soon', 5],
        ['slow', 50],
      ],
    );
  });

  it('flushes the other topics when one flush plans the next', async () => {
    const again = topicCalled('again');
    const { flush } = again;
    let left = 3;
    again.flush = (staged) => {
      flush.call(again, staged);
      if (left-- > 0) flusher.schedule(again, 4);
    };
    flusher.schedule(again, 4);
    flusher.schedule(topicCalled('other'), 10);
    await clock.advance(100);
    assert.deepEqual(
      flushes.map(({ name, at }) => [name, at]),
      [
        ['again', 4],
        ['again', 8],
        ['other', 10],
        ['again', 12],
        ['again', 16],
      ],
    );
  });

  it('does not flush a deactivated topic, and no topic after it was closed', async () => {
    const gone = topicCalled('gone');
    for (const delayMs of [0, 10]) {
      flusher.schedule(gone, delayMs);
      flusher.forget(gone);
    }
    flusher.schedule(topicCalled('a'), 0);
    flusher.schedule(topicCalled('b'), 10);
    flusher.close();
    await clock.advance(100);
    assert.deepEqual([flushes, clock.pendingTimers, clock.pendingImmediates], [[], 0, 0]);
  });
});
