import assert from 'node:assert/strict';
import { Closing } from '../support/closing.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';
import { StrayPoller } from '../support/stray-poller.js';

describe('[POLL] long-polling by way of a replica that is shutting down', function () {
  this.timeout(60_000);
  const closing = new Closing();
  afterEach(() => closing.close());

  it('answers every poll at once, also those that come meanwhile, so that no answer is lost with the replica', async () => {
    const redis = await closing.started(TestRedis.start());
    const start = async (id: string) => {
      const replica = await TestReplica.start({
        REDIS_URL: redis.url,
        REPLICA_ID: id,
        RTC_SERVER_DRAIN_WINDOW_SECS: '0',
      });
      closing.add(() => replica.end('SIGKILL'));
      return replica;
    };
    const [owner, edge] = [await start('owner'), await start('edge')];
    // It does not poll, so the edge waits for it before it closes.
    await StrayPoller.join(edge, edge, 'lea');
    const poller = await StrayPoller.join(owner, edge, 'mo', String);
    let marks = 0;
    const answers: string[] = [];
    const pollOn = async () => {
      for (;;) {
        const { status, text } = await poller.poll(edge, { mark: `next-${marks++}` });
        assert.equal(status, 200, text);
        answers.push(text);
      }
    };
    const polling = assert.rejects(pollOn(), { name: 'TypeError', message: 'fetch failed' });
    await poller.post(edge, '3');
    assert.deepEqual(answers, []);
    const ended = edge.end('SIGTERM');
    await polling;
    assert.equal(await ended, 0, edge.output);
    // The first one waited when the shutdown began.
    assert.ok(answers.length > 1, `${answers.length} answers`);
    assert.deepEqual([...new Set(answers)], ['6']);
  });
});
