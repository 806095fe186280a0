import assert from 'node:assert/strict';
import type { EventEmitter } from 'node:events';
import { instrument } from '@socket.io/admin-ui';
import type { Namespace } from 'socket.io';
import { io as connectTo, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { RefusalError, type Service, type SocketUser } from '../../server/index.js';
import { emit } from '../support/clients.js';
import { startEmbedded } from '../support/embedded-service.js';
import { TestRedis } from '../support/redis.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

type Options = Partial<ManagerOptions & SocketOptions>;
type Refused = Error & { data?: { code: string } };

describe("[EMBED] a program's own namespaces", () => {
  let redis: TestRedis;
  const services: Service[] = [];
  const urls: string[] = [];
  const clients: Socket[] = [];
  /** What the hook waits for. */
  let hold: Promise<void> | undefined;
  /** Clients that middleware of the program has not let in yet. */
  const waiting: (() => void)[] = [];
  const connects: { userId: string; namespace?: string }[] = [];

  const addNamespaces = (service: Service) => {
    const { io } = service;
    const middleware = (namespace: Namespace) =>
      namespace.use((socket, next) => {
        const { fail } = socket.handshake.auth as { fail?: string };
        if (fail === 'throw') throw new Error('of the program');
        if (fail === 'refuse') return next(new Error('refused by the program'));
        if (fail === 'wait') {
          waiting.push(next);
          return;
        }
        if (fail === 'reject') return Promise.reject(new Error('of the program')) as unknown as void;
        (socket.data as { seen?: unknown }).seen = (socket.data as { user?: SocketUser }).user?.userId;
        next();
      });
    const answers = (namespace: {
      on(event: 'connection', listener: (socket: import('socket.io').Socket) => void): unknown;
    }) =>
      namespace.on('connection', (socket) => {
        socket.on('data', (reply: (data: unknown) => void) => reply(socket.data));
      });
    for (const name of ['/app', '/lobby', '/private']) {
      answers(io.of(name));
      middleware(io.of(name));
    }
    middleware(io.of('/'));
    answers(io.of('/'));
    const dynamic = io.of(/^\/(room|open)-\d+$/);
    answers(dynamic);
    middleware(dynamic);
    answers(io.of('/open-explicit').use(service.authenticated()));
    instrument(io, {
      auth: {
        type: 'basic',
        username: 'olga',
        password: '$2a$04$NwEaUp9R6DB3mCBJisOoNut/VrGNqx706S2IHqWjB5y0j/nhdLVaa',
      },
      namespaceName: '/console',
      mode: 'production',
    });
  };

  const start = async () => {
    const embedded = await startEmbedded(
      {
        LOG_LEVEL: 'off',
        REDIS_URL: redis.url,
        RTC_AUTH_LEEWAY_SECS: '0',
        RTC_WEBSOCKET_MAX_CONNECTIONS_PER_USER: '2',
      },
      {
        publicNamespaces: ['/lobby', /^\/open-/g],
        hooks: {
          onConnect: async ({ userId, namespace }) => {
            connects.push({ userId, ...(namespace !== undefined && { namespace }) });
            if (userId === 'blocked') throw new RefusalError('forbidden', 'you are blocked');
            await hold;
          },
        },
      },
      addNamespaces,
    );
    services.push(embedded.service);
    urls.push(embedded.url);
  };

  before(async () => {
    redis = await TestRedis.start();
    await start();
    await start();
    await until(async () => {
      const [one, two] = services;
      return (await one!.io.fetchSockets().catch(() => undefined)) !== undefined && two !== undefined;
    }, 'the adapters have found each other');
  });
  beforeEach(() => connects.splice(0));
  afterEach(async () => {
    hold = undefined;
    for (const client of clients.splice(0)) client.disconnect();
    await until(() => services.every(({ io }) => io.engine.clientsCount === 0), 'all transports are closed');
  });
  after(async () => {
    for (const service of services) await service.close();
    await redis.stop();
  });

  const open = (namespace: string, auth: object = {}, options: Options = {}, replica = 0) => {
    const client = connectTo(urls[replica] + namespace, {
      forceNew: true,
      reconnection: false,
      transports: ['websocket'],
      auth,
      ...options,
    });
    clients.push(client);
    return client;
  };
  const joined = (client: Socket) =>
    new Promise<Socket>((resolve, reject) => {
      if (client.connected) resolve(client);
      client.once('connect', () => resolve(client));
      client.once('connect_error', reject);
    });
  const join = (namespace: string, auth?: object, options?: Options, replica?: number) =>
    joined(open(namespace, auth, options, replica));
  const refusedWith = (code: string) => (error: Refused) => {
    assert.equal(error.data?.code, code);
    return true;
  };
  const dataOf = (client: Socket) =>
    client.timeout(30_000).emitWithAck('data') as Promise<{ user?: SocketUser; seen?: string }>;
  const admin = async (path: string, body: object = {}) => {
    const response = await fetch(`${urls[1]}/admin${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 200);
    return (await response.json()) as Record<string, unknown>;
  };
  const ended = async (client: Socket) => {
    const reasons: { code: string }[] = [];
    client.on('error', (error: { code: string }) => reasons.push(error));
    await new Promise((resolve) => client.once('disconnect', resolve));
    return reasons.map(({ code }) => code);
  };

  for (const namespace of ['/app', '/room-7', '/open-explicit']) {
    it(`${namespace} refuses clients without a valid token, and knows the user of the others`, async () => {
      await assert.rejects(join(namespace), refusedWith('unauthorized'));
      await assert.rejects(join(namespace, { token: 'x' }), refusedWith('unauthorized'));
      await assert.rejects(join(namespace, { token: 5 }), refusedWith('unauthorized'));
      await assert.rejects(
        join(namespace, { token: tokenOf('ann', { exp: 1 }) }),
        refusedWith('token_expired'),
      );
      await assert.rejects(join(namespace, { token: tokenOf('blocked') }), refusedWith('forbidden'));
      const client = await join(namespace, {
        token: tokenOf('ann', { roles: ['user', 'vip'], jti: 'secret' }),
      });
      const { user } = await dataOf(client);
      assert.equal(typeof user!.expiresAt, 'number');
      assert.deepEqual({ ...user, expiresAt: 0 }, { userId: 'ann', roles: ['user', 'vip'], expiresAt: 0 });
      const byHeader = await join(
        namespace,
        {},
        { extraHeaders: { authorization: `Bearer ${tokenOf('bob')}` } },
      );
      assert.equal((await dataOf(byHeader)).user!.userId, 'bob');
      assert.deepEqual(connects.at(-1), { userId: 'bob', namespace });
    });
  }

  it('have the user before middleware of the program runs', async () => {
    assert.equal((await dataOf(await join('/app', { token: tokenOf('ann') }))).seen, 'ann');
    assert.equal((await dataOf(await join('/', { token: tokenOf('ann') }))).seen, 'ann');
  });

  it('are open to everybody if they are declared public', async () => {
    for (const namespace of ['/lobby', '/open-5', '/open-6'])
      assert.equal((await dataOf(await join(namespace))).user, undefined);
  });

  it('leave the Admin UI its own login', async () => {
    await assert.rejects(join('/console', { username: 'olga', password: 'wrong' }), /invalid credentials/);
    // Its middleware rejects without a password.
    await assert.rejects(join('/console', { username: 'olga' }), refusedWith('internal'));
    await join('/console', { username: 'olga', password: 'secret' });
  });

  it('know the client of the main namespace on the same transport, also if both are joined at once', async () => {
    const main = open('/', { token: tokenOf('ann') });
    const app = main.io.socket('/app', { auth: {} });
    clients.push(app);
    await Promise.all([joined(main), joined(app)]);
    assert.equal((await dataOf(app)).user!.userId, 'ann');
    assert.deepEqual(connects, [{ userId: 'ann' }], 'the hook is asked once');
    await emit(main, 'refresh', { token: tokenOf('ann', { roles: ['less'] }) });
    assert.deepEqual((await dataOf(app)).user!.roles, ['less']);
    assert.deepEqual((await dataOf(main)).user!.roles, ['less']);
  });

  for (const [whose, auth] of [
    ['of the main namespace', {}],
    ['of its own', { token: tokenOf('ann', { roles: ['more'] }) }],
  ] as const)
    it(`know the new token of a client that has refreshed it while they asked middleware, though they had one ${whose}`, async () => {
      const main = await join('/', { token: tokenOf('ann', { roles: ['more'] }) });
      const app = main.io.socket('/app', { auth: { ...auth, fail: 'wait' } });
      clients.push(app);
      const connected = joined(app);
      await until(() => waiting.length === 1, 'the middleware has the socket');
      const exp = Math.floor(Date.now() / 1000) + 5000;
      await emit(main, 'refresh', { token: tokenOf('ann', { roles: ['less'], exp }) });
      waiting.pop()!();
      await connected;
      const { roles, expiresAt } = (await dataOf(app)).user!;
      assert.deepEqual([roles, expiresAt], [['less'], exp]);
      await emit(main, 'refresh', { token: tokenOf('ann', { roles: ['least'] }) });
      assert.deepEqual((await dataOf(app)).user!.roles, ['least']);
    });

  it('show the user of remote sockets too', async () => {
    const far = await join('/app', { token: tokenOf('far') }, {}, 1);
    const main = await join('/', { token: tokenOf('main') }, {}, 1);
    const userOf = async (namespace: string, id: string) =>
      (
        (await services[0]!.io.of(namespace).fetchSockets()).find((socket) => socket.id === id)!.data as {
          user: SocketUser;
        }
      ).user.userId;
    assert.deepEqual([await userOf('/app', far.id!), await userOf('/', main.id!)], ['far', 'main']);
  });

  it('lose sockets whose token is revoked, or expires, and those that an operator disconnects', async () => {
    const iat = Math.floor(Date.now() / 1000) - 10;
    const revoked = await join('/app', { token: tokenOf('eve', { iat }) });
    const closed = ended(revoked);
    await admin('/users/eve/revoke-tokens');
    assert.deepEqual(await closed, ['token_revoked']);
    await assert.rejects(join('/app', { token: tokenOf('eve', { iat }) }), refusedWith('token_revoked'));

    const short = await join('/app', { token: tokenOf('short', { exp: Math.floor(Date.now() / 1000) + 5 }) });
    const notices: unknown[] = [];
    short.on('token_expiring', (notice) => notices.push(notice));
    assert.deepEqual(await ended(short), ['token_expired']);
    assert.ok(notices.length <= 1);

    const kicked = [
      await join('/app', { token: tokenOf('kim') }),
      await join('/room-1', { token: tokenOf('kim') }, {}, 1),
    ];
    const both = Promise.all(kicked.map(ended));
    assert.equal((await admin('/users/kim/disconnect', { reason: 'enough' }))['disconnected'], 2);
    assert.deepEqual(await both, [['disconnected'], ['disconnected']]);
    await until(
      () => services.every(({ io }) => io.engine.clientsCount === 0),
      'their transports are closed',
    );
  });

  it('count for the connections of a user: one for each transport, whatever it has joined', async () => {
    const token = tokenOf('many');
    const app = await join('/app', { token });
    const main = app.io.socket('/', { auth: { token } });
    clients.push(main);
    await joined(main);
    await join('/app', { token }, {}, 1);
    await assert.rejects(join('/app', { token }), refusedWith('at_capacity'));
    await assert.rejects(join('/', { token }), refusedWith('at_capacity'));
    app.disconnect();
    await until(() => !services[0]!.io.of('/app').sockets.has(app.id ?? ''), 'it has left');
    await assert.rejects(join('/', { token }), refusedWith('at_capacity'), 'the transport is still counted');
    main.disconnect();
    await until(
      () =>
        join('/app', { token }).then(
          () => true,
          () => false,
        ),
      'the slot is free',
    );
  });

  /** The namespaces of the first replica that begin with a text. */
  const namesOf = (start: string) =>
    [...services[0]!.io._nsps.keys()].filter((name) => name.startsWith(start));

  it('are not made by clients without a valid token', async () => {
    const made: string[] = [];
    const note = ({ name }: Namespace) => made.push(name);
    services[0]!.io.on('new_namespace', note);
    for (const auth of [{}, { token: 'x' }, { token: 5 }, { token: tokenOf('ann', { exp: 1 }) }])
      await assert.rejects(
        join('/room-100', auth),
        ({ data }: Refused) => data?.code === 'unauthorized' || data?.code === 'token_expired',
      );
    assert.deepEqual(made, []);
    assert.deepEqual(namesOf('/room-100'), []);
    const byMain = await join('/', { token: tokenOf('main') });
    const room = byMain.io.socket('/room-100', { auth: {} });
    clients.push(room);
    assert.equal((await dataOf(await joined(room))).user!.userId, 'main');
    const extraHeaders = { authorization: `Bearer ${tokenOf('bob')}` };
    assert.equal((await dataOf(await join('/room-101', {}, { extraHeaders }))).user!.userId, 'bob');
    const inQuery = await join('/room-102', {}, { query: { token: tokenOf('eva') } });
    assert.equal((await dataOf(inQuery)).user!.userId, 'eva');
    assert.deepEqual(made, ['/room-100', '/room-101', '/room-102']);
    services[0]!.io.of('/').off('new_namespace', note);
  });

  it('are removed when they were made by clients and are empty again, and made anew', async () => {
    for (const [name, auth] of [
      ['/room-200', { token: tokenOf('ann') }],
      ['/open-200', {}],
    ] as const) {
      for (let n = 0; n < 2; n++) {
        const both = await Promise.all([join(name, auth), join(name, auth)]);
        both[0].disconnect();
        await until(() => services[0]!.io.of(name).sockets.size === 1, 'one has left');
        assert.equal((await dataOf(both[1])).seen, 'token' in auth ? 'ann' : undefined, 'the other stays');
        both[1].disconnect();
        await until(() => namesOf(name).length === 0, `${name} is removed`);
      }
    }
    await assert.rejects(join('/room-201', { token: tokenOf('blocked') }), refusedWith('forbidden'));
    await assert.rejects(join('/open-201', { fail: 'reject' }), refusedWith('internal'));
    await until(() => namesOf('/room-201').length + namesOf('/open-201').length === 0, 'they are removed');
  });

  it('stay while somebody joins, and if the program has made or changed them', async () => {
    const { io } = services[0]!;
    io.of('/room-300');
    const token = tokenOf('ann');
    (await join('/room-300', { token })).disconnect();
    const changed = await join('/room-301', { token });
    io.of('/room-301').on('connection', () => {});
    changed.disconnect();
    // The one that is refused must not take the namespace away from the one that is joining.
    const [first] = await Promise.all([
      join('/room-302', { token }),
      assert.rejects(join('/room-302', { token: tokenOf('blocked') })),
      assert.rejects(join('/room-302', { token: 'x' })),
    ]);
    await until(
      () => !io.of('/room-301').sockets.has(changed.id ?? '') && io.of('/room-300').sockets.size === 0,
      'left',
    );
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.deepEqual(namesOf('/room-30'), ['/room-300', '/room-301', '/room-302']);
    assert.ok(io.of('/room-302').sockets.has(first.id!));
  });

  it('have names of 256 characters at most if they are made by clients', async () => {
    const token = tokenOf('ann');
    const name = (length: number) => `/room-${'1'.repeat(length - '/room-'.length)}`;
    await join(name(256), { token });
    await assert.rejects(join(name(257), { token }), (error: Refused & { data?: { limit?: number } }) => {
      assert.deepEqual([error.data?.code, error.data?.limit], ['invalid_message', 256]);
      return true;
    });
    assert.deepEqual(namesOf(name(257)), []);
  });

  for (const transport of ['websocket', 'polling'] as const) {
    it(`are joined by a client of ${transport} that opens forty at once, while a hook takes its time`, async () => {
      let release = () => {};
      hold = new Promise((resolve) => (release = resolve));
      const options = { autoConnect: false, transports: [transport] };
      const first = open('/room-1000', { token: tokenOf('ann') }, options);
      const all = [first];
      for (let n = 1; n < 40; n++)
        all.push(first.io.socket(`/room-${1000 + n}`, { auth: { token: tokenOf('ann') } }));
      clients.push(...all);
      for (const client of all) client.connect();
      const both = Promise.all(all.map(joined));
      await until(() => connects.length === 40, 'all wait for the hook');
      release();
      await both;
      // Node warns from the eleventh on.
      const [{ conn }] = services[0]!.io.of('/room-1000').sockets.values() as unknown as [
        { conn: EventEmitter },
      ];
      assert.ok(conn.listenerCount('close') <= 10, `${conn.listenerCount('close')} listeners`);
    });
  }

  it('refuse a client whose middleware in the program throws or rejects, and the program goes on', async () => {
    for (const namespace of ['/app', '/lobby', '/']) {
      for (const fail of ['throw', 'reject'])
        await assert.rejects(join(namespace, { token: tokenOf('ann'), fail }), refusedWith('internal'));
    }
    await join('/app', { token: tokenOf('ann') });
  });

  describe('leave nothing on a transport that stays', () => {
    const listenersOf = (client: Socket) => {
      const { conn } = services[0]!.io.of('/app').sockets.get(client.id!)!;
      return (conn as unknown as EventEmitter).listenerCount('close');
    };

    it('when its client joins and leaves the main namespace again and again', async () => {
      const token = tokenOf('ann');
      const app = await join('/app', { token });
      const main = app.io.socket('/', { auth: { token } });
      clients.push(main);
      const leave = async () => {
        main.disconnect();
        await until(() => services[0]!.io.of('/').sockets.size === 0, 'it has left');
      };
      await joined(main);
      await leave();
      const before = listenersOf(app);
      for (let n = 0; n < 5; n++) {
        await joined(main.connect());
        await leave();
      }
      assert.equal(listenersOf(app), before);
    });

    it('when middleware of the program refuses its client', async () => {
      const token = tokenOf('ann');
      const app = await join('/app', { token });
      const before = listenersOf(app);
      for (let n = 0; n < 5; n++) {
        const room = app.io.socket('/private', { auth: { token, fail: 'refuse' } });
        clients.push(room);
        await assert.rejects(joined(room.connect()), /refused by the program/);
        room.removeAllListeners();
      }
      assert.equal(listenersOf(app), before);
    });
  });
});
