import assert from 'node:assert/strict';
import { LineLimit } from '../../../server/logging/line-limit.js';

describe('[LOG] the limit for lines with the same message', () => {
  it('leaves lines out beyond fifty per second, and returns their number with the next one', () => {
    let now = 0;
    const limit = new LineLimit({ now: () => now });
    const admitted = Array.from({ length: 80 }, () => limit.admit('Command failed'));
    assert.deepEqual(admitted, [...Array<number>(50).fill(0), ...Array<undefined>(30).fill(undefined)]);
    assert.equal(limit.admit('another'), 0);
    now = 1000;
    assert.equal(limit.admit('Command failed'), 30);
    assert.equal(limit.admit('Command failed'), 0);
  });
});
