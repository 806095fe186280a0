import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { TransportIds } from '../../../../server/gateway/polling/transport-ids.js';

describe('ids of transports', () => {
  const ids = (replicaId: string, secret = 'secret') => new TransportIds(secret, { replicaId });
  const free = () => false;

  it('name their replica to every replica with the same secret', () => {
    const id = ids('a~01234567').newId(free);
    assert.equal(ids('b~89abcdef').tagIn(id), '01234567');
  });

  it('have 20 characters of base64url, as those of engine.io, and differ', () => {
    const made = new Set([...Array(1000).keys()].map(() => ids('a~01234567').newId(free)));
    assert.equal(made.size, 1000);
    for (const id of made) assert.match(id, /^[\w-]{20}$/);
  });

  it('are made again while a transport has them', () => {
    let asked = 0;
    ids('a~01234567').newId(() => ++asked < 4);
    assert.equal(asked, 4);
  });

  it('are recognised as invented if any character differs, or the secret, or the form', () => {
    const one = ids('a~01234567');
    const id = one.newId(free);
    assert.equal(ids('a~01234567', 'other').tagIn(id), undefined);
    for (let at = 0; at < id.length; at++) {
      const changed = id.slice(0, at) + (id[at] === 'A' ? 'B' : 'A') + id.slice(at + 1);
      assert.equal(one.tagIn(changed), undefined, changed);
    }
    for (const other of [
      '',
      id.slice(1),
      `${id}A`,
      `${id}=`,
      ` ${id}`,
      '__proto__',
      randomBytes(15).toString('base64url'),
    ])
      assert.equal(one.tagIn(other), undefined, other);
  });

  it('can be recognised when the secret becomes known later', () => {
    const late = new TransportIds(undefined, { replicaId: 'b~89abcdef' });
    const id = ids('a~01234567').newId(free);
    assert.equal(late.tagIn(id), undefined);
    late.setSecret('secret');
    assert.equal(late.tagIn(id), '01234567');
  });
});
