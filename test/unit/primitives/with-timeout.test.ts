import assert from 'node:assert/strict';
import { TimeLimitError, withTimeout } from '../../../server/primitives/with-timeout.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[LIMIT] withTimeout', () => {
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock();
  });

  it('settles as the answer does, and leaves no timer', async () => {
    assert.equal(await withTimeout(Promise.resolve('yes'), 1000, clock), 'yes');
    await assert.rejects(withTimeout(Promise.reject(new Error('no')), 1000, clock), /^Error: no$/);
    await clock.settle();
    assert.equal(clock.pendingTimers, 0);
  });

  it('rejects after the limit, not before', async () => {
    const errors: unknown[] = [];
    withTimeout(new Promise(() => {}), 1000, clock).catch((error: unknown) => errors.push(error));
    await clock.advance(999);
    assert.deepEqual(errors, []);
    await clock.advance(1);
    assert.deepEqual(errors, [new TimeLimitError('no answer within 1000 ms')]);
  });

  it('ignores an answer that is too late, also a rejection', async () => {
    for (const settle of ['resolve', 'reject'] as const) {
      let answer: { resolve: (value: string) => void; reject: (error: Error) => void } | undefined;
      const late = new Promise<string>((resolve, reject) => (answer = { resolve, reject }));
      const limited = assert.rejects(withTimeout(late, 10, clock), TimeLimitError);
      await clock.advance(10);
      if (settle === 'resolve') answer!.resolve('late');
      else answer!.reject(new Error('late'));
      await limited;
      await clock.settle();
    }
  });

  it('uses the system clock unless it gets another', async () => {
    await assert.rejects(withTimeout(new Promise(() => {}), 1), TimeLimitError);
  });
});
