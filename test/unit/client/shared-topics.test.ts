import assert from 'node:assert/strict';
import { ClientError } from '../../../client/client-error.js';
import { SharedTopics } from '../../../client/tabs/shared-topics.js';
import { FakeClock } from '../../support/fake-clock.js';
import { epoch } from '../../support/scripted-service.js';

describe('[CLIENT] the topics of all tabs', () => {
  let clock: FakeClock;
  let left: string[][];
  let refuse: (() => ClientError | undefined) | undefined;
  let topics: SharedTopics;

  beforeEach(() => {
    clock = new FakeClock();
    left = [];
    refuse = undefined;
    topics = new SharedTopics({
      request: <Answer>(command: string, body: object) => {
        const { topics: names } = body as { topics: string[] };
        if (command === 'unsubscribe') left.push(names);
        const error = command === 'unsubscribe' ? refuse?.() : undefined;
        if (error) return Promise.reject(error);
        return Promise.resolve({
          topics: names.map((topic) => ({ topic, epoch, sequence: 0 })),
        } as unknown as Answer);
      },
      later: (run, delayMs) => void clock.setTimeout(run, delayMs),
    });
  });

  async function subscribe(tab: string, ...names: string[]): Promise<void> {
    topics.add(tab, {}, true);
    for (let n = 0; n < names.length; n += 100)
      await topics.subscribe(tab, { topics: names.slice(n, n + 100) });
  }

  it('are unsubscribed a hundred at a time, as many as the service takes, when a tab with more has gone', async () => {
    const names = Array.from({ length: 250 }, (_, n) => `t${n}`);
    await subscribe('a', ...names);
    topics.removeTab('a');
    assert.deepEqual(
      left.map(({ length }) => length),
      [100, 100, 50],
    );
    assert.deepEqual(left.flat(), names);
  });

  it('are unsubscribed again when the service had no room for that, unless a tab wants them again', async () => {
    await subscribe('a', 'news', 'chat');
    refuse = () => new ClientError('rate_limited', 'later', { retryAfterMs: 700 });
    topics.removeTab('a');
    await clock.settle();
    refuse = undefined;
    await subscribe('b', 'chat');
    await clock.advance(699);
    assert.deepEqual(left, [['news', 'chat']]);
    await clock.advance(1);
    assert.deepEqual(left, [['news', 'chat'], ['news']]);
    // What is refused for good is not asked again.
    refuse = () => new ClientError('forbidden', 'no');
    topics.removeTab('b');
    await clock.advance(60_000);
    assert.deepEqual(left.slice(2), [['chat']]);
  });
});
