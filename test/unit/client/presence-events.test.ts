import assert from 'node:assert/strict';
import { epoch, ScriptedService } from '../../support/scripted-service.js';

describe('[CLIENT] presence events', () => {
  it('subscribes without presence events where these are refused, also for those who want none', async () => {
    const service = new ScriptedService();
    const errors: string[] = [];
    service.client.on('error', ({ code }) => errors.push(code));
    const ended: string[] = [];
    const given: number[] = [];
    for (const presence of [undefined, true]) {
      const subscription = service.client.topic('news').subscribe({ presence });
      subscription.on('ended', ({ code }) => ended.push(code));
      subscription.on('message', ({ sequence }) => given.push(sequence));
    }
    await service.connect();
    const answer = async (isRefused: boolean) => {
      const rejected = [{ topic: 'news', error: { code: 'forbidden', message: 'no' } }];
      const topics = [{ topic: 'news', epoch, sequence: 0 }];
      service.requests.pop()!.answer(isRefused ? { topics: [], rejected } : { topics, rejected: [] });
      await service.clock.advance(500);
    };
    assert.equal(service.last('subscribe').body['presence'], true);
    await answer(true);
    assert.deepEqual(service.last('subscribe').body, { topics: ['news'], since: {}, presence: false });
    await answer(false);
    await answer(true);
    service.messages('news', 1, 1);
    assert.deepEqual([given, errors, ended, service.requests.length], [[1, 1], ['forbidden'], [], 0]);
    // Where the topic is refused, too, both have ended.
    service.disconnect();
    await service.connect();
    await answer(true);
    assert.deepEqual(ended, []);
    await answer(true);
    assert.deepEqual(ended, ['forbidden', 'forbidden']);
  });
});
