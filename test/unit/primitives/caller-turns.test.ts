import assert from 'node:assert/strict';
import { CallerTurns } from '../../../server/primitives/caller-turns.js';
import { AddressRate } from '../../../server/limits/address-rate.js';
import { oldBytes } from '../../support/old-generation.js';

describe('callers who take turns', () => {
  it('are served one after the other, each in the order that is asked for', () => {
    const turns = new CallerTurns<string>();
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) turns.push(item[0]!, item);
    assert.deepEqual([turns.size, turns.sizeOf('a'), turns.sizeOf('x')], [6, 3, 0]);
    const oldest = () => turns.next((items) => items.shift()!);
    assert.deepEqual([oldest(), oldest(), oldest()], ['a1', 'b1', 'c1']);
    turns.push('c', 'c2');
    assert.equal(
      turns.next((items) => items.pop()!),
      'a3',
    );
    assert.deepEqual([oldest(), oldest(), oldest()], ['b2', 'c2', 'a2']);
    assert.deepEqual([turns.size, turns.sizeOf('a')], [0, 0]);
    turns.push('b', 'b3');
    assert.equal(oldest(), 'b3');
  });

  it('leave nothing in the old generation of the heap, and neither do their rates', () => {
    const turns = new CallerTurns<object>();
    const rate = new AddressRate({ now: () => 0 }, { ratePerSec: 10 });
    const callers = ['a', 'b', 'c'];
    const step = () => {
      for (const caller of callers) {
        rate.take(caller);
        turns.push(caller, {});
        turns.push(caller, {});
        turns.next((items) => items.shift()!);
      }
      for (const _ of callers) turns.next((items) => items.shift()!);
    };
    // They get old.
    step();
    turns.push('a', {});
    turns.push('b', {});
    for (let n = 0; n < 500_000; n++) new Array<number>(20).fill(0);
    const before = oldBytes();
    let most = before;
    for (let n = 0; n < 200_000; n++) {
      step();
      if (n % 10_000 === 0) most = Math.max(most, oldBytes());
    }
    assert.ok(most - before < 3_000_000, `${most - before} bytes`);
  });
});
