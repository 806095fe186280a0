import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { UnfinishedHeads } from '../../../server/gateway/handshake/unfinished-heads.js';

const mib = 2 ** 20;
/** What a head counts for beside its bytes. */
const beside = 2048;

describe('[LIMITS] request heads that have not arrived completely', () => {
  let heads: UnfinishedHeads;
  beforeEach(() => (heads = new UnfinishedHeads()));

  it('of one address are bounded: the newest of the largest is closed', () => {
    const [first, second, third] = Array.from({ length: 3 }, () => new Socket());
    assert.equal(heads.grown(first!, 'ann', mib / 2), undefined);
    assert.equal(heads.grown(second!, 'ann', mib - 3 * beside), undefined);
    assert.equal(heads.grown(third!, 'ann', mib / 2), undefined);
    assert.equal(heads.grown(third!, 'ann', mib / 2 + 1), second);
    heads.delete(second!);
    assert.equal(heads.grown(third!, 'ann', mib - 1), undefined, 'what is gone does not count');
    assert.equal(heads.grown(third!, 'ann', mib), undefined, 'only what is more is added');
    assert.equal(
      heads.grown(new Socket(), 'bob', mib + mib / 2),
      undefined,
      'each address counts for itself',
    );
    const last = new Socket();
    assert.equal(heads.grown(last, 'ann', mib), last);
  });

  it('of many addresses are bounded together: the largest of the address that holds most is closed', () => {
    const largest = new Socket();
    assert.equal(heads.grown(largest, 'most', mib + mib / 2), undefined);
    for (let n = 0; n < 14; n++) assert.equal(heads.grown(new Socket(), `address ${n}`, mib), undefined);
    const last = new Socket();
    assert.equal(heads.grown(last, 'last', mib / 2), largest);
    heads.delete(largest);
    assert.equal(heads.grown(last, 'last', mib / 2 + 1), undefined);
  });
});
