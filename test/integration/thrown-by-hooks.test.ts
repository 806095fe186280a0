import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { io } from 'socket.io-client';
import { RefusalError, type ErrorCode } from '../../shared/errors.js';
import { changing } from '../support/changing.js';
import { connectClient, emit } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

/** What JavaScript allows to be thrown. The one that a client has sent is an object without text. */
const thrown: Record<string, unknown> = {
  null: null,
  undefined,
  'a symbol': Symbol('s'),
  'an object without a prototype': Object.create(null),
  'an object of a client': JSON.parse('{"toString":1,"valueOf":1}'),
  'an error without text': Object.assign(new Error('x'), { message: { toString: null } }),
  'an error whose message cannot be read': Object.defineProperty(new Error('x'), 'message', {
    get() {
      throw new Error('no message');
    },
  }),
  'a revoked proxy': revokedProxy(),
  'a proxy that throws': new Proxy(new Error('x'), throwingTraps()),
  'a refusal with a code that there is not': new RefusalError('blocked' as ErrorCode, 'you are blocked'),
};

function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable(new Error('x'), {});
  revoke();
  return proxy;
}

function throwingTraps(): ProxyHandler<Error> {
  const fail = (): never => {
    throw new Error('not to be looked at');
  };
  return { get: fail, getPrototypeOf: fail, ownKeys: fail, has: fail };
}

/** What no encoder takes. */
const oddDetails = new RefusalError('forbidden', 'no', { retryAfterMs: 12n as unknown as number });

const refusalOf = (url: string) => {
  const client = io(url, { auth: { token: tokenOf('bob') }, reconnection: false, forceNew: true });
  return new Promise<unknown>((resolve) => {
    client.once('connect_error', (error: Error & { data?: unknown }) => resolve(error.data ?? error.message));
    client.once('connect', () => resolve('connected'));
  }).finally(() => client.disconnect());
};

describe('[EMBED] a program whose onDisconnect fails', () => {
  const failures: Record<string, () => void | Promise<void>> = {
    'rejects with nothing': () => Promise.reject(undefined as unknown as Error),
    'never settles': () => new Promise(() => {}),
    'returns what cannot be awaited': () =>
      Object.defineProperty({}, 'then', {
        get() {
          throw null;
        },
      }) as Promise<void>,
    'returns what is settled twice': () =>
      ({
        then: (resolve: () => void, reject: (error: unknown) => void) => {
          resolve();
          reject(null);
          throw null;
        },
      }) as unknown as Promise<void>,
  };
  for (const [what, value] of Object.entries(thrown))
    failures[`throws ${what}`] = () => {
      throw value;
    };

  for (const [what, fail] of Object.entries(failures)) {
    it(`goes on, runs it for the next client, and ends: ${what}`, async () => {
      const gone: string[] = [];
      const { service, url } = await startEmbedded(
        {
          // What is thrown is written, too.
          LOG_LEVEL: 'error',
          RTC_ACTOR_SYSTEM_HOOK_TIMEOUT_MS: '200',
          RTC_ACTOR_SYSTEM_RESTART_BACKOFF_MS: '1',
        },
        {
          hooks: {
            onDisconnect: ({ userId }) => {
              gone.push(userId);
              return fail();
            },
          },
        },
      );
      try {
        const bob = await connectClient(url, 'bob');
        const topic = randomUUID();
        (await connectClient(url, 'ann')).disconnect();
        await until(() => gone.includes('ann'), 'the hook has run');
        assert.equal((await emit(bob, 'publish', { topic, payload: 1 })).ok, true);
        bob.disconnect();
      } finally {
        await service.stop();
      }
      assert.equal(gone[0], 'ann');
    });
  }
});

describe('[EMBED] a program whose hooks throw what is no error', () => {
  let embedded: EmbeddedService;
  let failing: string | undefined;
  let returned: unknown;
  let middleware: (next: (error?: Error) => void) => unknown = (next) => next();
  const fail = (name: string) => {
    if (failing?.startsWith(`${name} `)) throw thrown[failing.slice(name.length + 1)];
  };
  beforeEach(async () => {
    failing = returned = undefined;
    middleware = (next) => next();
    embedded = await startEmbedded(
      { LOG_LEVEL: 'off' },
      {
        hooks: {
          onConnect: () => fail('onConnect'),
          onSubscribe: () => fail('onSubscribe'),
          onPublish: () => {
            fail('onPublish');
            return returned as undefined;
          },
        },
      },
      ({ io: server, app }) => {
        server.use((_socket, next) => middleware(next));
        server.of('/chat').use((_socket, next) => middleware(next));
        app.get('/broken', () => middleware(() => {}));
      },
    );
  });
  afterEach(() => embedded.service.close());

  for (const what of Object.keys(thrown))
    it(`goes on, and its clients are answered internal: ${what}`, async () => {
      const ann = await connectClient(embedded.url, 'ann');
      failing = `onPublish ${what}`;
      const topic = randomUUID();
      assert.equal((await emit(ann, 'publish', { topic, payload: 1 })).error?.code, 'internal');
      failing = `onSubscribe ${what}`;
      const { rejected } = await emit(ann, 'subscribe', { topics: [topic] });
      assert.equal((rejected as { error: { code: string } }[])[0]?.error.code, 'internal');
      ann.disconnect();
      failing = `onConnect ${what}`;
      assert.deepEqual(await refusalOf(embedded.url), {
        code: 'internal',
        message: 'the hook onConnect has failed',
      });
    });

  for (const [what, value] of Object.entries(thrown))
    it(`refuses with internal whom its middleware and its routes fail for: ${what}`, async () => {
      const internal = { code: 'internal', message: 'internal error' };
      // Awaited by nobody in plain Socket.IO.
      for (middleware of [() => Promise.reject(value), () => raise(value)]) {
        assert.deepEqual(await refusalOf(embedded.url), internal);
        assert.deepEqual(await refusalOf(`${embedded.url}/chat`), internal);
        // Express takes these two for no error.
        if (value === null || value === undefined) continue;
        const response = await fetch(`${embedded.url}/broken`);
        assert.deepEqual([response.status, await response.json()], [500, { error: internal }]);
      }
    });

  it('goes on where middleware gives an error to next that cannot be sent', async () => {
    middleware = (next) => next(Object.assign(new Error('x'), { data: { n: 12n } }));
    assert.deepEqual(await refusalOf(embedded.url), { code: 'internal', message: 'internal error' });
    middleware = (next) => next(revokedProxy() as Error);
    assert.deepEqual(await refusalOf(embedded.url), { code: 'internal', message: 'internal error' });
    middleware = (next) => next(Object.assign(new Error('x'), { data: { n: 12 } }));
    assert.deepEqual(await refusalOf(embedded.url), { n: 12 });
  });

  it('refuses with the code of a refusal, thrown or given to next, whose details cannot be sent', async () => {
    const refusal = { code: 'forbidden', message: 'no' };
    middleware = (next) => next(oddDetails);
    assert.deepEqual(await refusalOf(embedded.url), refusal);
    middleware = () => raise(oddDetails);
    assert.deepEqual(await refusalOf(`${embedded.url}/chat`), refusal);
    middleware = (next) => next();
    thrown['odd details'] = oddDetails;
    const ann = await connectClient(embedded.url, 'ann');
    failing = 'onPublish odd details';
    assert.deepEqual((await emit(ann, 'publish', { topic: randomUUID(), payload: 1 })).error, refusal);
    failing = 'onSubscribe odd details';
    const { rejected } = await emit(ann, 'subscribe', { topics: ['a'] });
    assert.deepEqual(rejected, [{ topic: 'a', error: refusal }]);
    ann.disconnect();
    failing = 'onConnect odd details';
    assert.deepEqual(await refusalOf(embedded.url), refusal);
    delete thrown['odd details'];
  });

  it('keeps readers where onPublish, or the program, gives a payload that is another one when it is read again', async () => {
    const ann = await connectClient(embedded.url, 'ann');
    const topic = randomUUID();
    await emit(ann, 'subscribe', { topics: [topic] });
    const got: unknown[] = [];
    const gone: string[] = [];
    ann.on('message', ({ payload }: { payload: unknown }) => got.push(payload));
    ann.on('direct', ({ payload }: { payload: unknown }, ack: () => void) => {
      got.push(payload);
      ack();
    });
    ann.on('disconnect', (reason) => gone.push(reason));
    let sent = 0;
    for (let reads = 1; reads <= 3; reads++) {
      const next = () => ({
        part: Buffer.alloc(1),
        changing: changing(() => reads, 1, { _placeholder: true, num: 7 }),
      });
      returned = { payload: next() };
      const stored = [
        await emit(ann, 'publish', { topic, payload: 1 }).then(({ ok }) => ok),
        await isDone(embedded.service.direct('ann', next())),
      ];
      returned = undefined;
      stored.push(await isDone(embedded.service.publish(topic, next())));
      sent += stored.filter(Boolean).length;
    }
    assert.ok(sent > 0);
    await until(() => got.length === sent || gone.length > 0, 'all are there');
    assert.deepEqual(gone, []);
    assert.ok(!JSON.stringify(got).includes('_placeholder'));
    ann.disconnect();
  });

  it('answers internal where onPublish returns no payload: its client is not wrong', async () => {
    const ann = await connectClient(embedded.url, 'ann');
    for (returned of [{}, null, 'text', { payload: () => 1 }, { payload: Symbol('s') }, { payload: 12n }]) {
      const { error } = await emit(ann, 'publish', { topic: randomUUID(), payload: 1 });
      assert.deepEqual(error, { code: 'internal', message: 'the hook onPublish has failed' });
    }
    returned = { payload: 'x'.repeat(100_000) };
    const { error } = await emit(ann, 'publish', { topic: randomUUID(), payload: 1 });
    assert.equal(error?.code, 'message_too_large');
    ann.disconnect();
  });
});

const isDone = (done: Promise<unknown>) =>
  done.then(
    () => true,
    () => false,
  );

function raise(value: unknown): never {
  throw value;
}
