import assert from 'node:assert/strict';
import { ClientError } from '../../../client/client-error.js';
import { systemClock } from '../../../client/clock.js';
import { GuideClient } from '../../../client/guide.js';
import type { Subscription } from '../../../client/index.js';
import { savedState } from '../../../client/state.js';
import { epoch, messageOf, ScriptedService } from '../../support/scripted-service.js';

const position = (sequence: number) => ({ epoch, sequence });

describe('[CLIENT] what the service sends, to listeners that do odd things', () => {
  let service: ScriptedService;

  beforeEach(() => {
    service = new ScriptedService();
  });

  describe('direct messages', () => {
    const direct = (sequence: number, ack?: () => void) =>
      service.event('direct', { ...messageOf('', sequence), sequence }, ack);

    it('are in order for each listener when one adds another one while it is called', async () => {
      const given: string[] = [];
      const note = (name: string) => (message: { sequence: number }) =>
        void given.push(`${name}${message.sequence}`);
      await service.connect();
      direct(1);
      direct(2);
      let isAdded = false;
      service.client.on('direct', (message) => {
        if (!isAdded) service.client.on('direct', note('second '));
        isAdded = true;
        note('first ')(message);
      });
      assert.deepEqual(given, ['first 1', 'first 2', 'second 2']);
    });

    it('are never handed over after later ones: what has no room waits for the next connection', async () => {
      await service.connect();
      const acked: number[] = [];
      const send = (from: number, to: number) => {
        for (let n = from; n <= to; n++) direct(n, () => acked.push(n));
      };
      send(1, 1001);
      const given: number[] = [];
      service.client.on('direct', ({ sequence }) => given.push(sequence));
      send(1002, 1002);
      assert.deepEqual([given.length, given.at(-1)], [1000, 1000]);
      service.disconnect();
      await service.connect();
      send(1001, 1002);
      assert.deepEqual(given.slice(999), [1000, 1001, 1002]);
      assert.deepEqual(acked, given);
    });

    it('come with another connection, which is made when those that waited are handled, and not before', async () => {
      await service.connect();
      for (let n = 1; n <= 1001; n++) direct(n);
      const given: number[] = [];
      let go = () => {};
      service.client.on('direct', ({ sequence }) => {
        given.push(sequence);
        return sequence === 1000 ? new Promise<void>((resolve) => (go = resolve)) : undefined;
      });
      await service.clock.settle();
      assert.deepEqual([given.length, service.renewals], [1000, 0]);
      go();
      await service.clock.settle();
      assert.equal(service.renewals, 1);
      service.disconnect();
      await service.connect();
      for (let n = 1001; n <= 1002; n++) direct(n);
      assert.deepEqual([given.slice(1000), service.renewals], [[1001, 1002], 1]);
    });
  });

  it('waits for what is like a promise and is none of this page, before it saves a position or hands over more', async () => {
    const waiting: (() => void)[] = [];
    const later = () => ({ then: (resolve: () => void) => void waiting.push(resolve) });
    const subscription = await service.follow(2);
    const given: unknown[] = [];
    subscription.on('message', ({ payload }) => {
      given.push(payload);
      return later();
    });
    service.client.on('direct', ({ payload }) => {
      given.push(`direct ${String(payload)}`);
      return later();
    });
    service.messages('news', 1, 2);
    const acked: number[] = [];
    for (const n of [1, 2])
      service.event('direct', { ...messageOf('', n), sequence: n }, () => acked.push(n));
    await service.clock.settle();
    assert.deepEqual([given.sort(), subscription.position, acked], [[1, 'direct 1'], position(0), []]);
    for (const go of waiting.splice(0)) go();
    await service.clock.settle();
    assert.deepEqual([given.length, subscription.position, acked], [4, position(1), [1]]);
  });

  it('reports what fails, in whatever way it does, and goes on', async () => {
    const failures: string[] = [];
    service.client.on('error', ({ code }) => failures.push(code));
    const subscription = await service.follow(5);
    const ends: ((sequence: number) => unknown)[] = [
      () => ({ then: (_: unknown, reject: (error: Error) => void) => reject(new Error('late')) }),
      () => ({
        get then() {
          throw new Error('at once');
        },
      }),
      () => Promise.reject(new Error('as a promise')),
      () => ({ then: 'no function' }),
    ];
    const given: unknown[] = [];
    subscription.on('message', ({ payload, sequence }) => {
      given.push(payload);
      return ends[sequence - 1]?.(sequence);
    });
    service.messages('news', 1, 5);
    await service.clock.settle();
    assert.deepEqual([given, failures.length, subscription.position], [[1, 2, 3, 4, 5], 3, position(5)]);
  });

  for (const [how, promise] of [
    ['while its promise is pending', new Promise<void>((resolve) => setTimeout(resolve))],
    ['while it is called', undefined],
  ] as const)
    it(`hands over nothing of a batch again to a listener of messages that takes the place of its own ${how}`, async () => {
      const subscription = await service.follow(3);
      const given: unknown[] = [];
      const remove = subscription.on('batch', ({ messages }) => {
        given.push(...messages.map(({ payload }) => payload));
        remove();
        subscription.on('message', ({ payload }) => given.push(`each ${String(payload)}`));
        return promise;
      });
      service.messages('news', 1, 3);
      await promise;
      await service.clock.settle();
      assert.deepEqual([given, subscription.position, subscription.waiting], [[1, 2, 3], position(3), 0]);
      service.messages('news', 4, 4);
      assert.deepEqual(given, [1, 2, 3, 'each 4']);
    });

  it('counts and confirms each message of a batch when its listener returns a promise for some only', async () => {
    const subscription = await service.follow(4);
    const confirmed: number[] = [];
    service.messages('news', 1, 4, (sequence) => confirmed.push(sequence));
    subscription.on('message', ({ sequence }) => (sequence === 3 ? Promise.resolve() : undefined));
    await service.clock.settle();
    assert.deepEqual([confirmed, subscription.waiting], [[1, 2, 3, 4], 0]);
    assert.deepEqual(subscription.position, position(4));
  });

  it('keeps the rest of a batch for the next listener when the only one is removed in its midst', async () => {
    const subscription = await service.follow(4);
    service.messages('news', 1, 4);
    const given: unknown[] = [];
    subscription.on('message', function listener({ payload }) {
      given.push(payload);
      if (payload === 2) subscription.off('message', listener);
    });
    assert.deepEqual([given, subscription.waiting, subscription.position], [[1, 2], 2, position(2)]);
    subscription.on('message', ({ payload, replayed }) => given.push(payload, replayed));
    assert.deepEqual(given, [1, 2, 3, true, 4, true]);
    assert.equal(subscription.waiting, 0);
  });

  it('begins with the next message when the last ones may not be read', async () => {
    const subscription = service.client.topic('news').subscribe({ last: 3 });
    const given: unknown[] = [];
    const errors: string[] = [];
    subscription.on('message', ({ payload }) => given.push(payload));
    service.client.on('error', ({ code }) => errors.push(code));
    await service.connect({ topic: 'news', ...position(6) });
    service.messages('news', 7, 8);
    service.last('history').refuse(new ClientError('forbidden', 'no'));
    await service.clock.settle();
    service.messages('news', 9, 9);
    assert.deepEqual([given, errors], [[7, 8, 9], ['forbidden']]);
  });

  it('gives a batch once, also when its listener is removed by it', async () => {
    const subscription = await service.follow(2);
    service.messages('news', 1, 2);
    subscription.on('batch', function listener() {
      subscription.off('batch', listener);
    });
    assert.deepEqual([subscription.waiting, subscription.position], [0, position(2)]);
  });

  it('asks again for presence events that were refused for a while, from where the topic is', async () => {
    const first = await service.follow(2);
    first.on('message', () => {});
    service.messages('news', 1, 50);
    const second = service.client.topic('news').subscribe({ presence: true });
    const users: string[] = [];
    second.on('presence', ({ user_id }) => users.push(user_id));
    await service.clock.settle();
    const asked = { topics: ['news'], since: { news: position(50) }, presence: true };
    assert.deepEqual(service.last('subscribe').body, asked);
    service.requests.pop()!.refuse(new ClientError('rate_limited', 'later', { retryAfterMs: 700 }));
    await service.clock.advance(699);
    assert.equal(service.requests.length, 0);
    await service.clock.advance(1);
    assert.deepEqual(service.last('subscribe').body, asked);
    service.event('presence', { topic: 'news', event: 'join', user_id: 'ann', connections: 1 });
    assert.deepEqual(users, ['ann']);
  });

  it('asks again for presence events, or reports them, when they are refused in an answer', async () => {
    const errors: string[] = [];
    service.client.on('error', ({ code }) => errors.push(code));
    const first = await service.follow(0);
    first.on('message', () => {});
    const ended: string[] = [];
    const subscribe = async () => {
      const subscription = service.client.topic('news').subscribe({ presence: true });
      subscription.on('ended', ({ code }) => ended.push(code));
      await service.clock.settle();
    };
    const refuse = async (error: object) => {
      service.requests.pop()!.answer({ topics: [], rejected: [{ topic: 'news', error }] });
      await service.clock.settle();
    };
    await subscribe();
    await refuse({ code: 'rate_limited', message: 'later', retry_after_ms: 700 });
    await service.clock.advance(699);
    assert.equal(service.requests.length, 0);
    await service.clock.advance(1);
    assert.deepEqual([service.last('subscribe').body['presence'], errors], [true, []]);
    await refuse({ code: 'forbidden', message: 'no' });
    await service.clock.advance(60_000);
    // Its messages go on.
    assert.deepEqual([errors, ended, service.requests.length], [['forbidden'], [], 0]);
    // As a topic that was refused: who subscribes again asks again.
    await subscribe();
    service.requests.pop()!.refuse(new ClientError('forbidden', 'no'));
    await service.clock.settle();
    assert.deepEqual([errors, ended], [['forbidden', 'forbidden'], []]);
  });

  it('gives a broadcast to each listener of the guide, also when one throws, and waits for all', async () => {
    const failures: string[] = [];
    service.client.on('error', ({ code }) => failures.push(code));
    const guide = new GuideClient(service.client);
    const given: unknown[] = [];
    guide.on('Broadcast', () => {
      throw new Error('of the app');
    });
    let done = () => {};
    guide.on('Broadcast', ({ payload }) => {
      given.push(payload);
      return new Promise<void>((resolve) => (done = resolve));
    });
    guide.subscribe(['news'], { since: position(0) });
    await service.connect({ topic: 'news', ...position(0), recovered: true });
    service.messages('news', 1, 2);
    await service.clock.settle();
    assert.deepEqual(given, [1]);
    done();
    await service.clock.settle();
    assert.deepEqual([given, failures], [[1, 2], ['handler_failed']]);
  });

  it('saves the state once for an answer of many topics, not with each of them', async () => {
    const saved: string[] = [];
    const store = {
      getItem: () => null,
      setItem: (_: string, text: string) => saved.push(text),
      removeItem: () => {},
    };
    service = new ScriptedService({ state: savedState({ store }) });
    const names = Array.from({ length: 100 }, (_, n) => `t${n}`);
    for (const name of names) service.client.topic(name).subscribe();
    await service.connect();
    saved.length = 0;
    service.last('subscribe').answer({ topics: names.map((topic) => ({ topic, ...position(5) })) });
    await service.clock.settle();
    assert.equal(saved.length, 1);
    const { positions } = JSON.parse(saved[0]!) as { positions: object };
    assert.deepEqual(positions, Object.fromEntries(names.map((name) => [name, position(5)])));
    // What comes to a subscription of its own is saved by itself.
    service.client.topic('t0').subscribe({ id: 'second' });
    await service.clock.settle();
    assert.equal(saved.length, 2);
  });

  it('waits for ever where an option says so: a timer cannot be longer than 2^31 - 1 ms', async () => {
    const fired: number[] = [];
    const timers = [2 ** 31, Infinity].map((ms) => systemClock.setTimeout(() => fired.push(ms), ms));
    await new Promise<void>((resolve) => systemClock.setTimeout(resolve, 20));
    for (const timer of timers) systemClock.clearTimer(timer);
    assert.deepEqual(fired, []);
  });

  it('asks once for a topic to which a listener of its end subscribes again, however often that is refused', async () => {
    const ended: string[] = [];
    const follow = (): void => {
      const subscription = service.client.topic('news').subscribe();
      subscription.on('ended', ({ code }) => {
        if (code === 'closed') return;
        ended.push(code);
        if (ended.length < 100) follow();
        subscription.close();
      });
    };
    follow();
    await service.connect();
    service.last('subscribe').refuse(new ClientError('forbidden', 'no'));
    await service.clock.settle();
    assert.deepEqual(ended, ['forbidden']);
    service.last('subscribe').refuse(new ClientError('forbidden', 'no'));
    await service.clock.settle();
    assert.deepEqual(ended, ['forbidden', 'forbidden']);
  });

  it('confirms and saves what is handled while a later message is awaited, or closes the subscription', async () => {
    for (const leave of [() => new Promise(() => {}), (its: Subscription) => its.close()]) {
      service = new ScriptedService();
      const subscription = await service.follow(4);
      const confirmed: number[] = [];
      service.messages('news', 1, 4, (sequence) => confirmed.push(sequence));
      subscription.on('message', ({ sequence }) => (sequence === 3 ? leave(subscription) : undefined));
      await service.clock.settle();
      assert.deepEqual([confirmed, subscription.position], [[1, 2], position(2)]);
    }
  });

  it('saves what is handled of one topic before the messages of the next one in the same answer', async () => {
    const saved: string[] = [];
    const store = {
      getItem: () => null,
      setItem: (_: string, text: string) => saved.push(text),
      removeItem: () => {},
    };
    service = new ScriptedService({ state: savedState({ store }) });
    const subscriptions = ['a', 'b'].map((topic) => service.client.topic(topic).subscribe());
    let before: string | undefined;
    subscriptions[0]!.on('message', () => {});
    subscriptions[1]!.on('message', () => void (before ??= saved.at(-1)));
    await service.connect();
    for (const topic of ['a', 'b']) service.messages(topic, 6, 8);
    service.last('subscribe').answer({ topics: ['a', 'b'].map((topic) => ({ topic, ...position(5) })) });
    await service.clock.settle();
    assert.deepEqual((JSON.parse(before!) as { positions: { a?: object } }).positions.a, position(8));
  });

  it('reads the stored state once: when it connects again, what is in memory is newer', async () => {
    let text: string | null = null;
    let isFull = false;
    const store = {
      getItem: () => text,
      setItem: (_: string, its: string) => {
        if (isFull) throw new Error('no room');
        text = its;
      },
      removeItem: () => {},
    };
    service = new ScriptedService({ state: savedState({ store }) });
    service.client.on('error', () => {});
    const given: number[] = [];
    service.client.on('direct', ({ sequence }) => given.push(sequence));
    const direct = (sequence: number) => service.event('direct', { ...messageOf('', sequence), sequence });
    await service.connect();
    direct(1);
    isFull = true;
    direct(2);
    service.client.disconnect();
    await service.connect();
    direct(2);
    assert.deepEqual(given, [1, 2]);
  });
});
