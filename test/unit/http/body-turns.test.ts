import assert from 'node:assert/strict';
import { BodyTurns } from '../../../server/http/body-turns.js';

describe('[LIMITS] large bodies of requests', () => {
  it('are read in turns of the event loop, in their order, and others are served in between', async () => {
    const turns = new BodyTurns();
    const events: string[] = [];
    const count = () => events.length;
    const busy = (name: string) => () => {
      events.push(name);
      const endsAt = performance.now() + 6;
      while (performance.now() < endsAt);
    };
    for (const name of ['a', 'b', 'c']) turns.run(busy(name));
    assert.equal(count(), 0, 'the first one does not delay what arrived with it');
    await new Promise<void>((resolve) => {
      const other = () => {
        events.push('other');
        if (events.includes('c')) resolve();
        else setImmediate(other);
      };
      setImmediate(other);
    });
    assert.deepEqual(events, ['a', 'other', 'b', 'other', 'c', 'other']);
    turns.run(busy('d'));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(events.at(-1), 'd', 'it begins again');
  });
});
