import assert from 'node:assert/strict';
import { cutToCells, fitToCells } from '../../../server/cli/cells.js';

describe('A text in cells of a terminal', () => {
  it('is filled with spaces, or cut with a mark, to exactly its width', () => {
    assert.equal(fitToCells('ann', 5), 'ann  ');
    assert.equal(fitToCells('annie', 5), 'annie');
    assert.equal(fitToCells('annabel', 5), 'anna…');
  });

  it('counts wide characters twice, what is combined once, and cuts none in two', () => {
    assert.equal(fitToCells('日本語', 6), '日本語');
    assert.equal(fitToCells('日本語', 5), '日本…');
    assert.equal(fitToCells('日本語', 4), '日… ');
    assert.equal(fitToCells('😀😀😀', 5), '😀😀…');
    assert.equal(fitToCells('👩‍👩‍👧‍👦x', 4), '👩‍👩‍👧‍👦x ');
    assert.equal(fitToCells('e\u0301e\u0301', 3), 'e\u0301e\u0301 ');
    assert.equal(cutToCells('ab日本', 5), 'ab日');
  });
});
