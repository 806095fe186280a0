import assert from 'node:assert/strict';
import { ClientError } from '../../../client/client-error.js';
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

  it('says that they begin later, when the service had no room at first: who is there is asked anew', async () => {
    const service = new ScriptedService();
    const first = await service.follow(0);
    const told: string[] = [];
    first.on('subscribed', () => told.push('first'));
    service.client
      .topic('news')
      .subscribe({ presence: true })
      .on('subscribed', () => told.push('second'));
    await service.clock.settle();
    service.requests.pop()!.refuse(new ClientError('busy', 'later', { retryAfterMs: 700 }));
    await service.clock.advance(700);
    assert.deepEqual(told, ['second']);
    service.requests.pop()!.answer({ topics: [{ topic: 'news', epoch, sequence: 0 }], rejected: [] });
    await service.clock.settle();
    assert.deepEqual(told, ['second', 'second']);
  });

  it('asks once more for those that the service has ended, and reports that they are refused', async () => {
    const service = new ScriptedService();
    const subscription = service.client.topic('news').subscribe({ presence: true });
    subscription.on('message', () => {});
    await service.connect();
    service.requests.pop()!.answer({ topics: [{ topic: 'news', epoch, sequence: 0 }], rejected: [] });
    await service.clock.settle();
    const told: string[] = [];
    service.client.on('error', ({ code }) => told.push(code));
    service.client.on('status', ({ status }) => told.push(status));
    const reason = { code: 'forbidden', message: 'no' };
    service.event('status', { status: 'presence_ended', details: { topics: ['news'], by: 'token', reason } });
    await service.clock.settle();
    const rejected = [{ topic: 'news', error: reason }];
    service.requests.pop()!.answer({ topics: [], rejected });
    await service.clock.advance(60_000);
    assert.deepEqual([told, service.requests], [['presence_ended', 'forbidden'], []]);
    // Another one asks again, and has them.
    service.client.topic('news').subscribe({ presence: true });
    await service.clock.settle();
    assert.equal(service.last('subscribe').body['presence'], true);
  });
});
