import assert from 'node:assert/strict';
import { once } from 'node:events';
import { io as connectTo, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { EmbeddingProgram, type ProgramKind } from '../support/embedding-program.js';
import { TestRedis } from '../support/redis.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

type Options = Partial<ManagerOptions & SocketOptions>;
type Fields = Record<string, unknown>;

// The same program and tests, on plain Socket.IO and on this service.
for (const kind of ['plain Socket.IO', 'the service'] as ProgramKind[]) {
  describe(`[EMBED] a program on ${kind}, two replicas`, function () {
    let redis: TestRedis;
    let a: EmbeddingProgram;
    let b: EmbeddingProgram;
    const clients: Socket[] = [];

    before(async () => {
      redis = await TestRedis.start();
      a = await EmbeddingProgram.start(kind, redis.url);
      b = await EmbeddingProgram.start(kind, redis.url);
      // The adapters of both have found each other.
      await until(
        async () => (await a.io.fetchSockets().catch(() => undefined)) !== undefined,
        'the adapters',
      );
    });

    afterEach(() => {
      for (const client of clients.splice(0)) client.disconnect();
    });

    after(async () => {
      await a.close();
      await b.close();
      await redis.stop();
    });

    const connect = async (program: EmbeddingProgram, options: Options = {}, namespace = '/') => {
      const client = connectTo(`http://127.0.0.1:${program.port}${namespace}`, {
        forceNew: true,
        reconnection: false,
        transports: ['websocket'],
        auth: { token: tokenOf('ann') },
        ...options,
      });
      clients.push(client);
      // The service sends its own event to new clients.
      const first = kind === 'the service' && namespace === '/' ? 'status' : 'connect';
      await new Promise<void>((resolve, reject) => {
        client.once(first, () => resolve());
        client.once('connect_error', reject);
      });
      return client;
    };
    const ask = <Answer = unknown>(client: Socket, event: string, ...args: unknown[]) =>
      client.timeout(30_000).emitWithAck(event, ...args) as Promise<Answer>;
    /** Another namespace on the transport of a client. */
    const join = async (client: Socket, namespace: string) => {
      const other = client.io.socket(namespace, { auth: { own: 1 } });
      clients.push(other);
      other.connect();
      await once(other as unknown as NodeJS.EventEmitter, 'connect');
      return other;
    };
    const withTenant: Options = {
      query: { room: 'blue' },
      extraHeaders: { 'x-tenant': 'north', cookie: 'taste=sweet' },
    };

    it('answers its own events, including those registered after the connection', async () => {
      const client = await connect(a);
      assert.deepEqual(await ask(client, 'echo', { n: 1 }, 'two'), [{ n: 1 }, 'two']);
      await until(
        () => a.socketOf(client.id!).listenerCount('registered later') === 1,
        'the late listener is registered',
      );
      await ask(client, 'registered later');
    });

    it('reads the whole handshake at any time: headers, query, auth, address, time', async () => {
      const client = await connect(a, withTenant);
      assert.deepEqual(await ask(client, 'at connection'), { tenant: 'north', hasSession: true });
      // After a round trip, and once more.
      for (let n = 0; n < 2; n++) {
        const handshake = await ask<Fields & { headers: Fields; query: Fields; auth: Fields }>(
          client,
          'handshake',
        );
        assert.equal(handshake.headers['x-tenant'], 'north');
        assert.equal(handshake.headers['cookie'], 'taste=sweet');
        assert.equal(handshake.query['room'], 'blue');
        assert.equal(typeof handshake.auth['token'], 'string');
        assert.equal(handshake['isSame'], true);
        for (const name of ['time', 'address', 'xdomain', 'secure', 'issued', 'url'])
          assert.ok(name in handshake, name);
        assert.match(String(handshake['url']), /^\/socket\.io\//);
      }
    });

    it('reads the request of a socket and of its connection at any time', async () => {
      const client = await connect(a, withTenant);
      await ask(client, 'echo');
      const request = await ask<{ headers: Fields; url: string; ofConnection: Fields }>(client, 'request');
      assert.equal(request.headers['x-tenant'], 'north');
      assert.equal(request.ofConnection['x-tenant'], 'north');
      assert.match(request.url, /EIO=4/);
    });

    it('reads and saves the session of its Express middleware', async () => {
      const client = await connect(a);
      assert.equal(await ask(client, 'visits'), 1);
      assert.equal(await ask(client, 'visits'), 2);
    });

    it('gets the end of responses in its Engine.IO middleware, and sets headers of handshakes', async () => {
      const url = `http://127.0.0.1:${a.port}/socket.io/?EIO=4&transport=polling`;
      const response = await fetch(url);
      assert.equal(response.headers.get('x-initial'), '1');
      assert.equal(response.headers.get('x-each'), '1');
      const errors = a.connectionErrors;
      await fetch(url.replace('polling', 'pigeon'));
      assert.equal(a.connectionErrors, errors + 1);
      const client = await connect(a);
      const ended = a.endedResponses;
      client.disconnect();
      await until(() => a.endedResponses > ended, 'the response of the WebSocket has ended');
    });

    it('refuses clients in io.use, with data', async () => {
      await assert.rejects(connect(a, { auth: { token: tokenOf('ann'), refuse: true } }), (error: Error) => {
        assert.equal(error.message, 'refused by the program');
        assert.deepEqual((error as Error & { data: unknown }).data, { reason: 'asked for' });
        return true;
      });
    });

    it('changes and refuses events in socket.use', async () => {
      const client = await connect(a);
      const socket = a.socketOf(client.id!);
      socket.use((event, next) => {
        if (event[0] === 'echo') event[1] = 'changed';
        next(event[0] === 'bad' ? new Error('not this one') : undefined);
      });
      const errors: string[] = [];
      socket.on('error', (error: Error) => errors.push(error.message));
      if (kind === 'the service') {
        // The commands of the service pass the same middleware.
        const publish = (topic: string, limitMs: number) =>
          client.timeout(limitMs).emitWithAck('publish', { topic, payload: 1 });
        socket.use(([event, request], next) => {
          const { topic } = (request ?? {}) as { topic?: string };
          if (event === 'publish' && topic === 'changed') (request as Fields)['payload'] = 2;
          next(event === 'publish' && topic === 'secret' ? new Error('not this topic') : undefined);
        });
        await assert.rejects(publish('secret', 500), 'it has no answer');
        await publish('changed', 30_000);
        const payloads = async (topic: string) =>
          (await ask<{ messages: Fields[] }>(client, 'history', { topic })).messages.map(
            ({ payload }) => payload,
          );
        assert.deepEqual([await payloads('secret'), await payloads('changed')], [[], [2]]);
        assert.deepEqual(errors.splice(0), ['not this topic']);
      }
      client.emit('bad');
      assert.deepEqual(await ask(client, 'echo', 'sent'), ['changed']);
      assert.deepEqual(errors, ['not this one']);
    });

    it('listens to all incoming and outgoing events', async () => {
      const client = await connect(a);
      const socket = a.socketOf(client.id!);
      const incoming: string[] = [];
      const outgoing: string[] = [];
      const packets = { in: 0, out: 0 };
      socket.onAny((event: string) => incoming.push(event));
      socket.prependAny((event: string) => incoming.push(`first ${event}`));
      socket.onAnyOutgoing((event: string) => outgoing.push(event));
      socket.conn.on('packet', () => packets.in++);
      socket.conn.on('packetCreate', () => packets.out++);
      await ask(client, 'echo', 1);
      socket.emit('greeting');
      a.io.emit('broadcast');
      assert.deepEqual(incoming, ['first echo', 'echo']);
      assert.deepEqual(outgoing, ['greeting', 'broadcast']);
      assert.ok(packets.in >= 1);
      assert.ok(packets.out >= 2);
      // Removes all of them; the service goes on.
      socket.offAny();
      socket.offAnyOutgoing();
      await ask(client, 'echo', 2);
      assert.equal(incoming.length, 2);
      if (kind === 'the service')
        assert.equal((await ask<{ ok: boolean }>(client, 'publish', { topic: 'any', payload: 1 })).ok, true);
    });

    it('has its own namespaces on the same transport, joined at once or later', async () => {
      const client = await connect(a, withTenant);
      const own = await join(client, '/own');
      assert.equal(await ask(own, 'namespace'), '/own');
      assert.equal(await ask(client, 'namespace'), '/');
      const { headers, query, auth } = await ask<Record<string, Fields>>(own, 'handshake');
      assert.equal(headers!['x-tenant'], 'north');
      assert.equal(query!['room'], 'blue');
      assert.deepEqual(auth, { own: 1 });
      const slow = client.io.socket('/slow');
      clients.push(slow);
      const tenant = once(slow as unknown as NodeJS.EventEmitter, 'tenant');
      slow.connect();
      assert.deepEqual(await tenant, ['north']);
    });

    it('has dynamic namespaces', async () => {
      const client = await connect(a, {}, '/dynamic-7');
      assert.equal(await ask(client, 'namespace'), '/dynamic-7');
      await assert.rejects(connect(a, {}, '/unknown'), /Invalid namespace/);
    });

    it('receives each event once after its client has left a namespace and joined it again', async () => {
      const client = await connect(a);
      const own = await join(client, '/own');
      for (const leave of [() => client.disconnect(), () => a.socketOf(client.id!).disconnect()]) {
        const { id } = client;
        leave();
        await until(() => !a.io.of('/').sockets.has(id!) && !client.connected, 'the client has left');
        client.connect();
        await once(client as unknown as NodeJS.EventEmitter, 'connect');
        const received: string[] = [];
        const [main, other] = [a.socketOf(client.id!), a.socketOf(own.id!, '/own')];
        main.on('once', () => received.push('/'));
        other.on('once', () => received.push('/own'));
        client.emit('once');
        own.emit('once');
        await Promise.all([ask(client, 'echo'), ask(own, 'echo')]);
        assert.deepEqual(received.sort(), ['/', '/own']);
        main.removeAllListeners('once');
        other.removeAllListeners('once');
      }
    });

    it('requests acknowledgements of a client and of a room across replicas', async () => {
      const [here, there] = [await connect(a), await connect(b)];
      for (const client of [here, there])
        client.on('question', (reply: (id: string) => void) => reply(client.id!));
      const socket = a.socketOf(here.id!);
      assert.equal(await socket.timeout(30_000).emitWithAck('question'), here.id);
      await assert.rejects(socket.timeout(50).emitWithAck('nobody answers'));
      a.io.in([here.id!, there.id!]).socketsJoin('asked');
      await until(() => b.socketOf(there.id!).rooms.has('asked'), 'the room has both clients');
      const answers = (await a.io.timeout(30_000).to('asked').emitWithAck('question')) as string[];
      assert.deepEqual(answers.sort(), [here.id!, there.id!].sort());
    });

    it('finds, moves and disconnects sockets across replicas', async () => {
      const [here, there] = [await connect(a), await connect(b, withTenant)];
      const sockets = await a.io.fetchSockets();
      const remote = sockets.find(({ id }) => id === there.id)!;
      assert.equal((remote.data as Fields)['tag'], 'set by the program');
      assert.equal(remote.handshake.headers['x-tenant'], 'north');
      assert.ok(remote.handshake.address);
      assert.ok(sockets.some(({ id }) => id === here.id));
      a.io.in([here.id!, there.id!]).socketsJoin('moved');
      await until(() => b.socketOf(there.id!).rooms.has('moved'), 'joined on the other replica');
      const got: string[] = [];
      for (const client of [here, there]) client.on('to the room', () => got.push(client.id!));
      b.io.to('moved').except(here.id!).emit('to the room');
      await until(() => got.length === 1, 'one of the two gets it');
      assert.deepEqual(got, [there.id]);
      a.io.in('moved').socketsLeave('moved');
      await until(() => !b.socketOf(there.id!).rooms.has('moved'), 'left on the other replica');
      const gone = once(there as unknown as NodeJS.EventEmitter, 'disconnect');
      a.io.in(there.id!).disconnectSockets(true);
      await gone;
    });

    it('emits to other servers, with and without acknowledgement', async () => {
      const received = new Promise((resolve) => b.io.once('news', resolve));
      a.io.serverSideEmit('news', { n: 1 });
      assert.deepEqual(await received, { n: 1 });
      b.io.once('count', (n: number, reply: (answer: number) => void) => reply(n + 1));
      assert.deepEqual(await a.io.serverSideEmitWithAck('count', 1), [2]);
    });

    it('sends and receives binary parts, in order with everything else', async () => {
      const client = await connect(a);
      const socket = a.socketOf(client.id!);
      const order: number[] = [];
      socket.on('mark', (n: number) => order.push(n));
      for (let n = 0; n < 40; n++) client.emit('mark', n, ...(n % 2 === 0 ? [Buffer.from([n])] : []));
      assert.deepEqual(await ask(client, 'echo', Buffer.from([7])), [Buffer.from([7])]);
      assert.deepEqual(order, [...Array(40).keys()]);
      const got: unknown[] = [];
      client.on('binary', (value: unknown) => got.push(value));
      socket.emit('binary', Buffer.from([1, 2]));
      socket.emit('binary', { deep: new Uint8Array([3]) });
      socket.volatile.emit('binary', 'volatile');
      a.io.local.emit('binary', 'local');
      await until(() => got.length >= 3, 'they arrive');
      assert.deepEqual(got.slice(0, 2), [Buffer.from([1, 2]), { deep: Buffer.from([3]) }]);
    });

    it('keeps events whole during an upgrade from polling to WebSocket', async () => {
      const client = await connect(a, { transports: ['polling', 'websocket'] });
      const socket = a.socketOf(client.id!);
      const got: number[] = [];
      client.on('n', (n: number) => got.push(n));
      let sent = 0;
      const timer = setInterval(() => socket.emit('n', sent++), 1);
      await until(
        () => client.io.engine.transport.name === 'websocket' && sent > 50,
        'the transport is upgraded',
      );
      clearInterval(timer);
      await until(() => got.length === sent, 'all arrive');
      assert.deepEqual(got, [...Array(sent).keys()]);
    });

    it('serves clients that use polling only', async () => {
      const client = await connect(a, { transports: ['polling'] });
      assert.deepEqual(await ask(client, 'echo', 1, Buffer.from([3])), [1, Buffer.from([3])]);
    });

    it('counts its clients', async () => {
      const client = await connect(a);
      assert.ok(a.io.engine.clientsCount >= 1);
      assert.ok(a.io.of('/').sockets.has(client.id!));
    });
  });
}
