import assert from 'node:assert/strict';
import { ClientError } from '../../../client/client-error.js';
import { systemClock } from '../../../client/clock.js';
import { tokenFailed } from '../../../client/connection-errors.js';
import type { Subscription } from '../../../client/index.js';
import { savedState } from '../../../client/state.js';
import { tokenRequests, type TokenSource } from '../../../client/token-requests.js';
import { epoch, messageOf, ScriptedService } from '../../support/scripted-service.js';

const position = (sequence: number) => ({ epoch, sequence });

function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** What an app, or a library of it, may throw. Some of it has no text. */
const thrown: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['undefined', undefined],
  ['a symbol', Symbol('odd')],
  ['an object without a prototype', Object.create(null)],
  ['a proxy that is revoked', revokedProxy()],
  [
    'an error whose text fails',
    {
      toString() {
        throw new Error('no text');
      },
    },
  ],
];

describe('[CLIENT] values that are odd', () => {
  let service: ScriptedService;
  let failures: string[];

  function serve(...options: ConstructorParameters<typeof ScriptedService>): void {
    service = new ScriptedService(...options);
    failures = [];
    service.client.on('error', ({ code }) => failures.push(code));
  }
  beforeEach(() => serve());

  /** Follows `news` after message 0; the service has restored the topic, and replays up to `end`. */
  async function follow(end: number): Promise<Subscription> {
    const subscription = service.client.topic('news').subscribe({ since: position(0) });
    await service.connect({ topic: 'news', ...position(end), recovered: true });
    return subscription;
  }

  for (const [what, value] of thrown) {
    for (const [how, fail] of [
      [
        'thrown',
        () => {
          throw value;
        },
      ],
      ['of a rejected promise', () => Promise.reject(value)],
    ] as const)
      it(`are reported when ${what} is ${how}, and everything goes on`, async () => {
        const subscription = await follow(3);
        const given: unknown[] = [];
        subscription.on('message', ({ payload }) => {
          given.push(payload);
          return fail();
        });
        service.client.on('direct', ({ payload }) => {
          given.push(`direct ${String(payload)}`);
          return fail();
        });
        service.messages('news', 1, 3);
        for (const n of [1, 2]) service.event('direct', { ...messageOf('', n), sequence: n });
        await service.clock.settle();
        assert.deepEqual(
          [given.map(String).sort(), failures, subscription.position],
          [['1', '2', '3', 'direct 1', 'direct 2'], Array<string>(5).fill('handler_failed'), position(3)],
        );
      });

    it(`are reported when a snapshot, a token or a store fails with ${what}`, async () => {
      const fail = () => {
        throw value;
      };
      serve({ state: savedState({ store: { getItem: fail, setItem: () => {}, removeItem: () => {} } }) });
      let isFirst = true;
      const snapshot = service.client.getState('news', () => {
        if (isFirst) {
          isFirst = false;
          fail();
        }
        return Promise.resolve({ state: 'whole' });
      });
      await service.connect({ topic: 'news', ...position(0) });
      await service.clock.advance(1000);
      assert.equal((await snapshot).state, 'whole');
      assert.deepEqual(failures, ['store_failed', 'handler_failed']);
      assert.equal(tokenFailed(value).code, 'token_failed');
      const payload = {
        get part() {
          return fail();
        },
      };
      await assert.rejects(service.client.topic('news').publish(payload), { code: 'invalid_payload' });
    });
  }

  it('are sent as text when an app gives them for a token: what has no JSON would break the connection', async () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    for (const value of [1n, circle, null, undefined, 7, Symbol('odd')]) {
      const ask = tokenRequests(
        { token: (() => value) as unknown as TokenSource, connectTimeoutMs: 1000 },
        systemClock,
      );
      assert.equal(typeof (await ask('connect')), 'string');
    }
  });

  it('are not taken for positions, when events of other programs have names of the service', async () => {
    const first = await follow(2);
    first.on('message', () => {});
    service.messages('news', 1, 2);
    for (const event of ['message', 'gap', 'direct'])
      for (const part of [
        { text: 'hi' },
        { sequence: 3 },
        { epoch, sequence: 'x' },
        { epoch, sequence: NaN },
      ])
        assert.throws(() => service.event(event, { topic: 'news', ...part }), TypeError);
    const second = service.client.topic('news').subscribe({ id: 'second' });
    await service.clock.settle();
    service.messages('news', 3, 3);
    second.on('message', () => {});
    assert.deepEqual([first.position, second.position, service.requests], [position(3), position(3), []]);
  });

  it('are no reason to connect: a client that is closed stays so, whatever its listeners do', async () => {
    await service.connect();
    service.client.on('state', ({ state }) => {
      if (state === 'idle') service.client.connect();
    });
    service.client.close();
    service.client.connect();
    assert.equal(service.client.state.state, 'idle');
    await assert.rejects(service.client.topic('news').publish(1), (error) => error instanceof ClientError);
  });
});
