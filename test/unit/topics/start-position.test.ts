import assert from 'node:assert/strict';
import { counted } from '../../support/counted-reads.js';
import {
  isHopeless,
  readPosition,
  readPositions,
  startOf,
  unknownPosition,
} from '../../../server/topics/start-position.js';

const at = (sequence: number, epoch = 'e') => ({ epoch, sequence });

describe('[GATE] a position from a client', () => {
  it('is read as it is if it can be one, and null is none', () => {
    assert.deepEqual(readPosition({ epoch: 'e', sequence: 5, more: 1 }), at(5));
    assert.deepEqual([readPosition(null), readPosition(undefined)], [undefined, undefined]);
  });

  for (const value of [
    'now',
    5,
    true,
    [],
    {},
    at(-1),
    at(0.5),
    at(1e308),
    at(2 ** 53),
    at(NaN),
    { epoch: 'e', sequence: '5' },
    { epoch: 5, sequence: 5 },
    at(1, ''),
    at(1, 'x'.repeat(65)),
  ]) {
    it(`is unknown if it cannot be one: ${JSON.stringify(value).slice(0, 60)}`, () => {
      assert.equal(readPosition(value), unknownPosition);
    });
  }

  it('does not cost the other positions', () => {
    const positions = readPositions(
      JSON.parse('{"a":-1,"__proto__":{"epoch":"e","sequence":1},"b":null}'),
      'since',
      3,
    );
    assert.deepEqual(
      [...positions],
      [
        ['a', unknownPosition],
        ['__proto__', at(1)],
      ],
    );
    for (const wrong of ['text', 5, ['a']])
      assert.throws(() => readPositions(wrong, 'auth.positions', 3), { code: 'invalid_message' });
  });

  it('is refused with the others if they are too many, which are not walked', () => {
    const { value, reads } = counted(
      Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`t${i}`, at(1)])),
    );
    assert.throws(() => readPositions(value, 'auth.positions', 3), {
      code: 'invalid_message',
      message: 'auth.positions may have 3 entries',
    });
    assert.ok(reads() <= 3, `${reads()} are read`);
  });

  it('is hopeless without a look into the log if it is far ahead of what the replica has, in any epoch', () => {
    assert.equal(isHopeless(unknownPosition, at(5)), true);
    assert.equal(isHopeless(at(Number.MAX_SAFE_INTEGER), at(5)), true);
    assert.equal(isHopeless(at(20_000_000, 'other'), at(5)), true);
    // The replica may be behind the log.
    assert.equal(isHopeless(at(1000), at(5)), false);
    assert.equal(isHopeless(at(1000, 'newer'), at(5)), false);
  });

  it('counts without the right to read history only if it is not behind that of the session', () => {
    assert.deepEqual(startOf(undefined, at(3), false), at(3));
    assert.deepEqual(startOf(at(1), at(3), true), at(1));
    assert.deepEqual(startOf(at(1), at(3), false), at(3));
    assert.deepEqual(startOf(at(7), at(3), false), at(7));
    assert.deepEqual(startOf(at(7, 'other'), at(3), false), at(3));
    assert.equal(startOf(at(7), undefined, false), unknownPosition);
    assert.equal(startOf(unknownPosition, at(3), false), unknownPosition);
    assert.equal(startOf(undefined, undefined, true), undefined);
  });
});
