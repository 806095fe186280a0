import assert from 'node:assert/strict';
import { HandshakeQueue } from '../../../server/gateway/handshake/handshake-queue.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[LIMITS] the queue of handshakes', () => {
  let clock: FakeClock;
  let queue: HandshakeQueue;
  let served: string[];
  let refused: string[];
  /** Addresses for which there is no room. */
  let full: Set<string>;
  const newcomer = (address: string) => ({ hasRoom: () => !full.has(address), onServed: () => {} });
  const enter = (address: string, name = address) => {
    const turn = queue.enter(address, newcomer(address));
    if (turn === undefined) served.push(name);
    else
      turn.served.then(
        () => served.push(name),
        (error: { code: string }) => refused.push(`${name} ${error.code}`),
      );
    return turn;
  };
  const codeOf = (address: string): string | undefined => {
    try {
      queue.enter(address, newcomer(address));
      return undefined;
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  beforeEach(() => {
    clock = new FakeClock();
    queue = new HandshakeQueue({ clock }, { ratePerSec: 2, longestWaitMs: 10_000 });
    served = [];
    refused = [];
    full = new Set();
  });

  it('serves a burst at once, and then at its rate, in the order of arrival', async () => {
    for (const name of ['1', '2', '3', '4', '5']) enter('a', name);
    assert.deepEqual(served, ['1', '2']);
    await clock.advance(500);
    assert.deepEqual(served, ['1', '2', '3']);
    await clock.advance(1000);
    assert.deepEqual(served, ['1', '2', '3', '4', '5']);
    assert.equal(clock.pendingTimers, 0);
  });

  it('serves addresses in turns, so that a flood of one does not delay another', async () => {
    for (let n = 0; n < 15; n++) enter('flood', `f${n}`);
    enter('ann');
    enter('bob');
    await clock.advance(1500);
    assert.deepEqual(served.slice(2), ['f2', 'ann', 'bob']);
  });

  it('gives the place of the address that has most to a newcomer when it is full', async () => {
    for (let n = 0; n < 22; n++) enter('flood', `f${n}`);
    assert.equal(queue.length, 20);
    assert.equal(codeOf('flood'), 'at_capacity');
    enter('ann');
    await clock.settle();
    assert.deepEqual(refused, ['f21 at_capacity']);
    await clock.advance(1000);
    assert.ok(served.includes('ann'));
  });

  it('frees the place of a client that has gone, which takes nothing of the rate', async () => {
    for (let n = 0; n < 3; n++) enter('a', `a${n}`);
    const gone = Array.from({ length: 17 }, () => queue.enter('a', newcomer('a'))!);
    for (const turn of gone) turn.leave();
    enter('b');
    await clock.advance(1000);
    assert.deepEqual(served, ['a0', 'a1', 'a2', 'b']);
    gone[0]!.leave();
    assert.equal(queue.length, 0);
  });

  it('refuses what has waited too long, because others had their turns', async () => {
    for (let n = 0; n < 22; n++) enter('flood', `f${n}`);
    for (let second = 0; second < 10; second++) {
      enter('ann');
      await clock.advance(1000);
    }
    assert.equal(served.filter((name) => name === 'ann').length, 10);
    assert.equal(queue.length, 0);
    assert.ok(refused.length >= 9);
    await clock.advance(20_000);
    assert.equal(clock.pendingTimers, 0);
  });

  it('lets a handshake wait while there is no room for its address, and serves others meanwhile', async () => {
    full.add('a');
    enter('a');
    enter('b');
    await clock.advance(500);
    assert.deepEqual(served, ['b']);
    full.clear();
    await clock.advance(500);
    assert.deepEqual(served, ['b', 'a']);
    assert.equal(clock.pendingTimers, 0);
  });
});
