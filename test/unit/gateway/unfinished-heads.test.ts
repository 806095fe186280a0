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
    const sockets = Array.from({ length: 4 }, () => new Socket());
    assert.equal(heads.grown(sockets[0]!, 'ann', mib), undefined);
    assert.equal(heads.grown(sockets[1]!, 'ann', mib), undefined);
    assert.equal(heads.grown(sockets[2]!, 'ann', 2 * mib - 3 * beside), undefined);
    assert.equal(heads.grown(sockets[3]!, 'ann', 10), sockets[2]);
    heads.delete(sockets[2]!);
    assert.equal(heads.grown(sockets[3]!, 'ann', mib), undefined, 'what is gone does not count');
    assert.equal(heads.grown(sockets[3]!, 'ann', mib + 1), undefined, 'only what is more is added');
    assert.equal(heads.grown(new Socket(), 'bob', 3 * mib), undefined, 'each address counts for itself');
    const last = new Socket();
    assert.equal(heads.grown(last, 'ann', mib + 1), last);
  });

  it('of many addresses are bounded together: the largest of the address that holds most is closed', () => {
    const largest = new Socket();
    assert.equal(heads.grown(largest, 'most', 3 * mib), undefined);
    for (let n = 0; n < 14; n++) assert.equal(heads.grown(new Socket(), `address ${n}`, 2 * mib), undefined);
    const last = new Socket();
    assert.equal(heads.grown(last, 'last', mib), largest);
    heads.delete(largest);
    assert.equal(heads.grown(last, 'last', mib + 1), undefined);
  });
});
