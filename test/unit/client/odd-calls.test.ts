import assert from 'node:assert/strict';
import { ClientError } from '../../../client/client-error.js';
import { savedState } from '../../../client/state.js';
import { epoch, ScriptedService } from '../../support/scripted-service.js';

const position = (sequence: number) => ({ epoch, sequence });

describe('[CLIENT] calls of an app, in odd orders', () => {
  let service: ScriptedService;

  beforeEach(() => {
    service = new ScriptedService();
  });

  it('answers each next() of an iterator, also when several wait', async () => {
    const subscription = await service.follow(0);
    const iterator = subscription[Symbol.asyncIterator]();
    const given: unknown[] = [];
    for (let n = 0; n < 3; n++) void iterator.next().then(({ value }) => given.push(value?.payload));
    service.messages('news', 1, 5);
    await service.clock.settle();
    assert.deepEqual(given, [1, 2, 3]);
    // The third one is in the hands of the loop.
    assert.deepEqual(subscription.position, position(2));
    const last = [4, 5, 6].map(() => iterator.next());
    await service.clock.settle();
    subscription.close();
    assert.deepEqual(
      (await Promise.all(last)).map(({ value, done }) => [value?.payload, done]),
      [
        [4, false],
        [5, false],
        [undefined, true],
      ],
    );
  });

  it('ends each next() that waits when the service refuses the topic', async () => {
    const iterator = service.client.topic('news').subscribe()[Symbol.asyncIterator]();
    const asked = [iterator.next(), iterator.next()];
    const failed = Promise.all(asked.map((one) => assert.rejects(one, { code: 'forbidden' })));
    await service.connect();
    service.last('subscribe').refuse(new ClientError('forbidden', 'no'));
    await failed;
  });

  it('ends what is subscribed after the client was closed, instead of waiting for ever', async () => {
    service.client.close();
    const subscription = service.client.topic('news').subscribe();
    const ended: string[] = [];
    subscription.on('ended', ({ code }) => ended.push(code));
    for await (const message of service.client.topic('news').subscribe()) assert.fail(message.id);
    await assert.rejects(
      service.client.getState('news', () => Promise.resolve({ state: 1 })),
      { code: 'closed' },
    );
    assert.deepEqual(ended, ['closed']);
  });

  it('unsubscribes topics that were closed offline when so many are left that the handshake names none', async () => {
    const names = Array.from({ length: 502 }, (_, n) => `t${n}`);
    const subscriptions = names.map((name) => service.client.topic(name).subscribe());
    const restored = names.map((topic) => ({ topic, ...position(0) }));
    await service.connect(...restored);
    await service.clock.settle();
    service.disconnect();
    subscriptions[7]!.close();
    service.requests.length = 0;
    await service.connect(...restored);
    await service.clock.settle();
    const asked = (command: string) =>
      service.requests.filter((one) => one.command === command).flatMap(({ body }) => body['topics']);
    assert.deepEqual(asked('unsubscribe'), ['t7']);
    assert.deepEqual(
      asked('subscribe'),
      names.filter((name) => name !== 't7'),
    );
  });

  it('refuses a position that is none where it is given: the service could not read it', async () => {
    const other = await service.follow(0);
    const given: unknown[] = [];
    other.on('message', ({ payload }) => given.push(payload));
    for (const since of [
      {},
      { epoch: 'e' },
      { epoch: '', sequence: 1 },
      { epoch: 'e', sequence: -1 },
      'last',
    ])
      assert.throws(() => service.client.topic('odd').subscribe({ since: since as never }), TypeError);
    await service.clock.settle();
    assert.deepEqual(service.requests, []);
    const errors: string[] = [];
    service.client.on('error', ({ message }) => errors.push(message));
    const snapshots = [{ epoch: undefined, sequence: undefined }, position(0)];
    const state = service.client.getState('news', () =>
      Promise.resolve({ state: snapshots.length, position: snapshots.shift() as never }),
    );
    await service.clock.advance(1000);
    assert.equal((await state).state, 1);
    assert.deepEqual(errors, ['a listener of news has failed: TypeError: no position']);
    service.messages('news', 1, 1);
    assert.deepEqual(given, [1]);
  });

  it('subscribes a topic whose name is a number, and the others with it', async () => {
    const names: unknown[] = ['news', 42];
    const subscriptions = names.map((name) => service.client.topic(name as string).subscribe());
    const given: unknown[] = [];
    for (const one of subscriptions) one.on('message', ({ topic }) => given.push(topic));
    await service.connect();
    const asked = service.last('subscribe');
    assert.deepEqual(asked.body['topics'], ['news', '42']);
    asked.answer({ topics: ['news', '42'].map((topic) => ({ topic, ...position(0) })) });
    await service.clock.settle();
    for (const topic of ['news', '42']) service.messages(topic, 1, 1);
    assert.deepEqual(given, ['news', '42']);
  });

  it('reads the state once when it is connected, disconnected and connected again before the store answers', async () => {
    const answers: ((text: string) => void)[] = [];
    const store = {
      getItem: () => new Promise<string>((resolve) => answers.push(resolve)),
      setItem: () => {},
      removeItem: () => {},
    };
    service = new ScriptedService({ state: savedState({ store }) });
    const { client, clock } = service;
    client.connect();
    client.disconnect();
    client.connect();
    const text = JSON.stringify({ positions: {}, session_id: 'old', timestamp: clock.wallTime() });
    answers[0]!(text);
    await clock.settle();
    assert.deepEqual([client.state.state, client.sessionId], ['connecting', 'old']);
    await service.connect();
    answers[1]?.(text);
    await clock.settle();
    assert.equal(client.sessionId, 's');
  });

  for (const how of ['in its answer', 'as a whole'])
    it(`keeps a topic that is subscribed again while the former subscription is refused ${how}`, async () => {
      const former = service.client.topic('news').subscribe();
      await service.connect();
      former.close();
      const subscription = service.client.topic('news').subscribe();
      const given: unknown[] = [];
      subscription.on('ended', ({ code }) => given.push(code));
      subscription.on('message', ({ payload }) => given.push(payload));
      await service.clock.settle();
      const [first, left, second] = service.requests;
      assert.deepEqual(
        [first, left, second].map((one) => one!.command),
        ['subscribe', 'unsubscribe', 'subscribe'],
      );
      // As the service refuses one that is unsubscribed before it is done.
      const error = { code: 'conflict', message: 'unsubscribed meanwhile' } as const;
      if (how === 'as a whole') first!.refuse(new ClientError(error.code, error.message));
      else first!.answer({ topics: [], rejected: [{ topic: 'news', error }] });
      await service.clock.settle();
      second!.answer({ topics: [{ topic: 'news', ...position(0) }], rejected: [] });
      await service.clock.settle();
      service.messages('news', 1, 1);
      assert.deepEqual(given, [1]);
    });
});
