import assert from 'node:assert/strict';
import { RoomQueue } from '../../../server/http/room-queue.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[LIMITS] connections that wait for room', () => {
  let clock: FakeClock;
  let queue: RoomQueue;
  /** Callers that have used up their room. */
  let over: Set<string>;
  /** Connections that have gone on, in order. */
  let went: string[];
  let ended: Set<string>;

  beforeEach(() => {
    clock = new FakeClock();
    over = new Set(['ann']);
    went = [];
    ended = new Set();
    queue = new RoomQueue({ clock, isOver: (caller) => over.has(caller) });
  });

  const wait = (caller: string, ...names: readonly string[]) => {
    for (const name of names)
      queue.wait(caller, { hasEnded: () => ended.has(name), goOn: () => went.push(name) });
  };

  it('go on two at a time where they are of one caller, in order, and do not wait for those of others', async () => {
    wait('ann', 'a1', 'a2', 'a3');
    wait('ben', 'b1');
    await clock.advance(100);
    assert.deepEqual(went, ['b1']);
    over.clear();
    await clock.advance(100);
    assert.deepEqual(went, ['b1', 'a1', 'a2']);
    wait('ann', 'a4');
    await clock.advance(100);
    assert.deepEqual(went.slice(3), ['a3', 'a4']);
  });

  it('go on no further when one of them has used up the room again', async () => {
    queue.wait('ann', {
      hasEnded: () => false,
      goOn: () => {
        went.push('a1');
        over.add('ann');
      },
    });
    wait('ann', 'a2');
    over.clear();
    await clock.advance(1000);
    assert.deepEqual(went, ['a1']);
    over.clear();
    await clock.advance(100);
    assert.deepEqual(went, ['a1', 'a2']);
  });

  it('are forgotten when they have ended, and nothing runs when none waits', async () => {
    wait('ann', 'a1', 'a2');
    ended.add('a1');
    await clock.advance(100);
    over.clear();
    await clock.advance(100);
    assert.deepEqual([went, clock.pendingTimers], [['a2'], 0]);
    wait('ann', 'a3');
    await clock.advance(100);
    assert.deepEqual(went, ['a2', 'a3']);
  });
});
