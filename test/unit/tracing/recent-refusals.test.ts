import assert from 'node:assert/strict';
import { RecentRefusals } from '../../../server/tracing/recent-refusals.js';

const refused = (userId: string, request: unknown, code = 'forbidden', name = 'publish') => ({
  connection: { id: `c-${userId}`, identity: { userId } },
  name,
  code,
  request,
});

describe('[CONSOLE] recent refusals', () => {
  let now = 0;
  let refusals: RecentRefusals;
  beforeEach(() => {
    now = 0;
    refusals = new RecentRefusals({ now: () => ++now }, { users: 3, ofUser: 2 });
  });
  const shown = (user: string) =>
    refusals.of(user).map(({ at, count, command, code, topic }) => [at, count, command, code, topic]);

  it('are the last ones of a user, and a flood of equal ones is one with a count', () => {
    for (let n = 0; n < 1000; n++) refusals.note(refused('eve', { topic: 'a' }, 'rate_limited'));
    refusals.note(refused('eve', { topic: 'b' }));
    assert.deepEqual(shown('eve'), [
      [1001, 1, 'publish', 'forbidden', 'b'],
      [1000, 1000, 'publish', 'rate_limited', 'a'],
    ]);
    refusals.note(refused('eve', undefined, 'invalid_request', 'x'.repeat(10_000)));
    assert.equal(refusals.of('eve').length, 2);
    assert.equal(refusals.of('eve')[0]!.command.length, 200);
  });

  it('take what a client sends as it comes', () => {
    for (const request of [null, 1, 'text', [], { topic: { toString: 1 } }, { topic: null }])
      refusals.note(refused('__proto__', request));
    assert.equal(refusals.of('__proto__')[0]!.count, 6);
    refusals.note(refused('__proto__', { topic: 'x'.repeat(10_000) }));
    assert.equal(refusals.of('__proto__')[0]!.topic!.length, 200);
    for (const [topic, kept] of [
      [`${'x'.repeat(199)}😀`, `${'x'.repeat(199)}😀`],
      ['😀'.repeat(201), '😀'.repeat(200)],
      [`${'x'.repeat(199)}\ud800`, `${'x'.repeat(199)}\ufffd`],
      ['\ud800', '\ufffd'],
    ] as const) {
      refusals.note(refused('__proto__', { topic }, 'invalid_topic', topic));
      const { command, topic: shownTopic } = refusals.of('__proto__')[0]!;
      assert.deepEqual([command, shownTopic], [kept, kept], 'half a character is in no address');
    }
    assert.deepEqual(refusals.of('constructor'), []);
  });

  it('are forgotten of those who were refused the longest time ago', () => {
    for (const user of ['ann', 'bob', 'eve', 'ann', 'joe']) refusals.note(refused(user, {}));
    assert.deepEqual(
      ['ann', 'bob', 'eve', 'joe'].map((user) => refusals.of(user).length),
      [1, 0, 1, 1],
    );
  });
});
