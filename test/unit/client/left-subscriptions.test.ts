import assert from 'node:assert/strict';
import { ClientError } from '../../../client/client-error.js';
import { epoch, messageOf, ScriptedService } from '../../support/scripted-service.js';

const position = (sequence: number) => ({ epoch, sequence });

describe('[CLIENT] subscriptions that are left', () => {
  let service: ScriptedService;

  beforeEach(() => {
    service = new ScriptedService();
  });

  /** What is asked for with a new connection. */
  async function askedAnew(): Promise<unknown[]> {
    service.requests.length = 0;
    service.disconnect();
    await service.connect();
    return service.requests.map(({ command }) => command);
  }

  it('end each loop over them, also one that begins after they were closed', async () => {
    const subscription = await service.follow(3);
    service.messages('news', 1, 3);
    const given: unknown[] = [];
    for await (const { payload } of subscription) {
      given.push(payload);
      break;
    }
    for await (const { payload } of subscription) given.push(payload);
    for await (const batch of subscription.batches()) given.push(batch);
    assert.deepEqual(given, [1]);
  });

  it('are closed when their loop ends because the service has refused the topic', async () => {
    const subscription = service.client.topic('news').subscribe();
    await service.connect();
    const ended: string[] = [];
    subscription.on('ended', ({ code }) => ended.push(code));
    const loop = assert.rejects(
      async () => {
        for await (const message of subscription) assert.fail(message.id);
      },
      { code: 'forbidden' },
    );
    service.last('subscribe').refuse(new ClientError('forbidden', 'no'));
    await loop;
    assert.deepEqual([ended, await askedAnew()], [['forbidden', 'closed'], []]);
  });

  it('are closed when getState is rejected, because nobody has them', async () => {
    const snapshot = service.client.getState('news', () => Promise.resolve({ state: 1 }));
    const rejected = assert.rejects(snapshot, { code: 'forbidden' });
    await service.connect();
    service.last('subscribe').refuse(new ClientError('forbidden', 'no'));
    await rejected;
    assert.deepEqual(await askedAnew(), []);
  });

  it('stay open when the service ends them after getState has given them', async () => {
    const snapshot = service.client.getState('news', () => Promise.resolve({ state: 1 }));
    await service.connect({ topic: 'news', ...position(0) });
    const { subscription } = await snapshot;
    const ended: string[] = [];
    subscription.on('ended', ({ code }) => ended.push(code));
    service.event('status', { status: 'unsubscribed', details: { topics: ['news'], by: 'token' } });
    assert.deepEqual([ended, await askedAnew()], [['disconnected'], ['subscribe']]);
  });

  it('hand over what follows a snapshot once, also what had arrived before it and waited for more', async () => {
    let give = (_: { state: number; position: { epoch: string; sequence: number } }) => {};
    const snapshot = service.client.getState(
      'news',
      () => new Promise<Parameters<typeof give>[0]>((resolve) => (give = resolve)),
    );
    await service.connect({ topic: 'news', ...position(0) });
    service.disconnect();
    await service.connect({ topic: 'news', ...position(5), recovered: true });
    service.messages('news', 1, 2);
    give({ state: 1, position: position(1) });
    const { subscription } = await snapshot;
    const given: unknown[] = [];
    subscription.on('message', ({ payload }) => given.push(payload));
    const messages = [2, 3, 4, 5].map((n) => messageOf('news', n));
    service.last('history').answer({ messages, complete: true, ...position(5) });
    await service.clock.settle();
    assert.deepEqual(given, [2, 3, 4, 5]);
  });

  it('are unsubscribed together, a hundred at a time', async () => {
    const names = Array.from({ length: 250 }, (_, n) => `t${n}`);
    const subscriptions = names.map((name) => service.client.topic(name).subscribe());
    await service.connect(...names.map((topic) => ({ topic, ...position(0) })));
    for (const subscription of subscriptions) subscription.close();
    await service.clock.settle();
    assert.deepEqual(
      service.requests.map(({ command, body }) => [command, (body['topics'] as string[]).length]),
      [
        ['unsubscribe', 100],
        ['unsubscribe', 100],
        ['unsubscribe', 50],
      ],
    );
  });

  it('are unsubscribed again when the service had no room for that, unless they are wanted again', async () => {
    const names = ['a', 'b'];
    const subscriptions = names.map((name) => service.client.topic(name).subscribe());
    await service.connect(...names.map((topic) => ({ topic, ...position(0) })));
    for (const subscription of subscriptions) subscription.close();
    await service.clock.settle();
    service.requests.pop()!.refuse(new ClientError('rate_limited', 'later', { retryAfterMs: 700 }));
    await service.clock.settle();
    service.client.topic('a').subscribe();
    await service.clock.advance(699);
    assert.deepEqual(
      service.requests.splice(0).map(({ command }) => command),
      ['subscribe'],
    );
    await service.clock.advance(1);
    assert.deepEqual(service.last('unsubscribe').body, { topics: ['b'] });
    service.requests.pop()!.refuse(new ClientError('forbidden', 'no'));
    await service.clock.advance(60_000);
    assert.deepEqual(service.requests, []);
  });

  it('read no history on', async () => {
    const subscription = service.client.topic('news').subscribe({ since: position(0) });
    await service.connect({ topic: 'news', ...position(5000), recovered: false });
    const { answer } = service.last('history');
    service.requests.length = 0;
    subscription.close();
    const messages = Array.from({ length: 1000 }, (_, i) => messageOf('news', i + 1));
    answer({ messages, complete: true, ...position(5000), next: { since: position(1000) } });
    await service.clock.settle();
    assert.deepEqual(
      service.requests.map(({ command }) => command),
      ['unsubscribe'],
    );
  });

  it('are told of nothing after their end', async () => {
    const other = await service.follow(0);
    other.on('message', () => {});
    const subscription = service.client.topic('news').subscribe();
    const told: string[] = [];
    for (const event of ['subscribed', 'ended'] as const) subscription.on(event, () => told.push(event));
    subscription.close();
    await service.clock.settle();
    assert.deepEqual(told, ['ended']);
  });

  it('give an event of presence to each listener once, also to one that subscribes again by it', async () => {
    const other = await service.follow(0);
    other.on('message', () => {});
    let told = 0;
    const watch = (): void => {
      const subscription = service.client.topic('news').subscribe({ presence: true });
      subscription.on('presence', () => {
        told++;
        subscription.close();
        if (told < 100) watch();
      });
    };
    watch();
    await service.clock.settle();
    service.event('presence', { topic: 'news', event: 'join', user_id: 'ann', connections: 1 });
    assert.equal(told, 1);
  });
});
