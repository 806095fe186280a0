import assert from 'node:assert/strict';
import { groupOf } from '../../../client/tabs/group.js';
import { tokenOf } from '../../support/replica.js';

describe('[CLIENT] the group of tabs that may share a connection', () => {
  const of = (token: string, url = 'https://a.example', path?: string, name = '') =>
    groupOf(url, path, token, name);

  it('is that of the user and the rights: another token of the same is the same group', () => {
    assert.equal(of(tokenOf('ann', { jti: '1' })), of(tokenOf('ann', { jti: '2', exp: 4_000_000_000 })));
    assert.notEqual(of(tokenOf('ann')), of(tokenOf('bob')));
    assert.notEqual(of(tokenOf('ann')), of(tokenOf('ann', { topics: ['news'] })));
    assert.notEqual(of(tokenOf('ann')), of(tokenOf('ann', { roles: ['admin'] })));
  });

  it('is that of the service, and of the name that the app gives', () => {
    const token = tokenOf('ann');
    const groups = [
      of(token),
      of(token, 'https://b.example'),
      of(token, undefined, '/rt'),
      of(token, undefined, undefined, 'x'),
    ];
    assert.equal(new Set(groups).size, groups.length);
  });

  it('is of one token only, where that cannot be read', () => {
    for (const [one, other] of [
      ['opaque-1', 'opaque-2'],
      ['a.b.c', 'a.b.d'],
      ['a.bnVsbA.c', 'a.bnVsbA.d'],
    ] as const) {
      assert.equal(of(one), of(one));
      assert.notEqual(of(one), of(other));
    }
  });

  it('names the version of what tabs say to each other, so that a worker of another one is never met', () => {
    assert.match(of(tokenOf('ann')), /^rtc\/1\//);
  });
});
