import assert from 'node:assert/strict';
import { RoomQueue } from '../../../server/http/room-queue.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[LIMITS] connections that wait for room', () => {
  let clock: FakeClock;
  let queue: RoomQueue;
  /** Callers that have used up their room. */
  let over: Set<string>;
  /** Connections that have gone on, and those that were closed, in order. */
  let went: string[];
  let closed: string[];
  let left: Set<string>;

  beforeEach(() => {
    clock = new FakeClock();
    over = new Set(['ann']);
    went = [];
    closed = [];
    left = new Set();
    queue = new RoomQueue({ clock, isOver: (caller) => over.has(caller) });
  });

  const wait = (caller: string, name: string, { goOn = () => {}, waitsSince = clock.now() } = {}) =>
    queue.wait(caller, {
      waitsSince,
      hasLeft: () => left.has(name),
      goOn: () => {
        went.push(name);
        goOn();
      },
      close: () => closed.push(name),
    });

  it('go on two at a time where they are of one caller, in order, and do not wait for those of others', async () => {
    for (const name of ['a1', 'a2', 'a3']) wait('ann', name);
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
    wait('ann', 'a1', { goOn: () => over.add('ann') });
    wait('ann', 'a2');
    over.clear();
    await clock.advance(1000);
    assert.deepEqual(went, ['a1']);
    over.clear();
    await clock.advance(100);
    assert.deepEqual(went, ['a1', 'a2']);
  });

  it('are forgotten when they wait no more, also behind others, and nothing runs when none waits', async () => {
    for (const name of ['a1', 'a2', 'a3', 'a4']) wait('ann', name);
    left.add('a1').add('a4');
    await clock.advance(100);
    left.clear();
    over.clear();
    await clock.advance(200);
    assert.deepEqual([went, clock.pendingTimers], [['a2', 'a3'], 0]);
    wait('ann', 'a5');
    await clock.advance(100);
    assert.deepEqual(went, ['a2', 'a3', 'a5']);
  });

  it('are closed when they have waited for ten seconds, counted from when they first waited', async () => {
    wait('ann', 'a1');
    await clock.advance(6000);
    wait('ann', 'a2');
    wait('ann', 'a3', { waitsSince: clock.now() - 3000 });
    await clock.advance(3900);
    assert.deepEqual(closed, []);
    await clock.advance(100);
    assert.deepEqual(closed, ['a1']);
    await clock.advance(3000);
    assert.deepEqual(closed, ['a1', 'a3']);
    await clock.advance(3000);
    assert.deepEqual([closed, went, clock.pendingTimers], [['a1', 'a3', 'a2'], [], 0]);
  });

  it('are two hundred of one caller at most: more could not go on in ten seconds', async () => {
    for (let n = 0; n < 200; n++) assert.equal(wait('ann', `a${n}`), true);
    assert.equal(wait('ann', 'one more'), false);
    assert.equal(wait('ben', 'another'), true);
    left.add('a7');
    await clock.advance(100);
    assert.equal(wait('ann', 'one more'), true);
  });

  it('are looked at further when one of them throws', async () => {
    const message = 'what is thrown';
    wait('ann', 'a1', {
      goOn: () => {
        throw new Error(message);
      },
    });
    wait('ann', 'a2');
    over.clear();
    await assert.rejects(clock.advance(100), { message });
    await clock.advance(100);
    assert.deepEqual(went, ['a1', 'a2']);
  });
});
