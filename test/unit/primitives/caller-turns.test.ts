import assert from 'node:assert/strict';
import { CallerTurns } from '../../../server/primitives/caller-turns.js';
import { oldBytes, youngObject } from '../../support/old-generation.js';

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

  it('leave nothing in the old generation of the heap', () => {
    const turns = new CallerTurns<object>();
    const callers = ['a', 'b', 'c'];
    const step = () => {
      for (const caller of callers) {
        turns.push(caller, youngObject());
        turns.push(caller, youngObject());
        turns.next((items) => items.shift()!);
      }
      for (const _ of callers) turns.next((items) => items.shift()!);
    };
    // They get old.
    step();
    turns.push('a', {});
    turns.push('b', {});
    for (let n = 0; n < 50_000; n++) youngObject();
    const before = oldBytes();
    let most = before;
    for (let n = 0; n < 10_000; n++) {
      step();
      if (n % 500 === 0) most = Math.max(most, oldBytes());
    }
    // All of it would be nearly 100 MB. The lines of the callers may be made in the old generation.
    assert.ok(most - before < 20_000_000, `${most - before} bytes`);
  });
});
