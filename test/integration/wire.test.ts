import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { io } from 'socket.io-client';
import WebSocket from 'ws';
import type { Message } from '../../shared/message.js';
import { connectClient, JsonClient, type ClientOptions, type TestAnswer } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

type Client = Awaited<ReturnType<typeof connectClient>>;

for (const transport of ['websocket', 'polling'] as const) {
  describe(`[WIRE] Socket.IO over ${transport}, two replicas`, function () {
    let redis: TestRedis;
    let a: TestReplica;
    let b: TestReplica;
    const open: { close(): unknown }[] = [];
    const client = async (replica: TestReplica, userId: string, auth: object = {}): Promise<Client> => {
      const socket = await connectClient(replica.url, userId, { transports: [transport], auth });
      open.push(socket);
      return socket;
    };
    const ask = (socket: Client, command: string, request: object) =>
      socket.timeout(30_000).emitWithAck(command, request) as Promise<TestAnswer>;
    const messagesOf = (socket: Client): Message[] => {
      const messages: Message[] = [];
      socket.on('message', (message: Message) => messages.push(message));
      return messages;
    };

    before(async () => {
      redis = await TestRedis.start();
      a = await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: 'a' });
      b = await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: 'b' });
    });
    afterEach(() => {
      for (const one of open.splice(0)) one.close();
    });
    after(async () => {
      await a.end();
      await b.end();
      await redis.stop();
    });

    it('[P4] stores a publish once that is repeated with one key over both replicas', async () => {
      const [one, two] = [await client(a, 'ann'), await client(b, 'ann')];
      const messages = messagesOf(two);
      await ask(two, 'subscribe', { topics: ['once'] });
      const answers: TestAnswer[] = [];
      for (let n = 0; n < 5; n++)
        answers.push(await ask(n % 2 === 0 ? one : two, 'publish', { topic: 'once', payload: n, key: 'k' }));
      assert.deepEqual(
        answers.map(({ sequence }) => sequence),
        [1, 1, 1, 1, 1],
      );
      assert.equal(new Set(answers.map(({ id }) => id)).size, 1);
      assert.deepEqual(
        answers.map(({ duplicate }) => duplicate ?? false),
        [false, true, true, true, true],
      );
      await ask(one, 'publish', { topic: 'once', payload: 'end' });
      await until(() => messages.length >= 2, 'the last message arrives');
      assert.deepEqual(
        messages.map(({ payload }) => payload),
        [0, 'end'],
      );
    });

    it('delivers payloads with binary parts', async () => {
      const [one, two] = [await client(a, 'ann'), await client(b, 'bob')];
      const messages = messagesOf(two);
      await ask(two, 'subscribe', { topics: ['bytes'] });
      const payload = {
        name: 'ü\u001e',
        parts: [Buffer.from([1, 2, 3]), { deep: Buffer.from('x') }],
        empty: Buffer.alloc(0),
      };
      assert.equal((await ask(one, 'publish', { topic: 'bytes', payload })).ok, true);
      await ask(one, 'publish', { topic: 'bytes', payload: { plain: true } });
      await until(() => messages.length === 2, 'both arrive');
      assert.deepEqual(messages[0]!.payload, payload);
      assert.deepEqual(messages[1]!.payload, { plain: true });
      const history = await ask(two, 'history', { topic: 'bytes' });
      assert.deepEqual((history['messages'] as Message[])[0]!.payload, payload);
    });

    it('[P2] recovers by position on the other replica, missed messages first', async () => {
      const [one, two] = [await client(a, 'ann'), await client(b, 'bob')];
      for (let n = 1; n <= 300; n++) void ask(one, 'publish', { topic: 'recover', payload: n });
      const last = await ask(one, 'publish', { topic: 'recover', payload: 301 });
      const messages = messagesOf(two);
      const since = { recover: { epoch: last.epoch!, sequence: 100 } };
      const answer = await ask(two, 'subscribe', { topics: ['recover'], since });
      const [position] = answer['topics'] as { recovered: boolean; missed: number; sequence: number }[];
      assert.deepEqual([position!.recovered, position!.missed, position!.sequence], [true, 201, 301]);
      await ask(one, 'publish', { topic: 'recover', payload: 302 });
      await until(() => messages.length >= 202, 'missed and live messages arrive');
      assert.deepEqual(
        messages.map(({ sequence }) => sequence),
        Array.from({ length: 202 }, (_, n) => n + 101),
      );
    });

    it('reports what cannot be recovered, and the position at which it continues', async () => {
      const one = await client(a, 'ann');
      const { epoch } = await ask(one, 'publish', { topic: 'gone', payload: 1 });
      const wrongEpoch = await ask(one, 'subscribe', {
        topics: ['gone'],
        since: { gone: { epoch: 'another', sequence: 1 } },
      });
      const two = await client(b, 'bob');
      const beyond = await ask(two, 'subscribe', {
        topics: ['gone'],
        since: { gone: { epoch: epoch!, sequence: 7 } },
      });
      for (const answer of [wrongEpoch, beyond]) {
        const [position] = answer['topics'] as { recovered: boolean; epoch: string; sequence: number }[];
        assert.deepEqual([position!.recovered, position!.epoch, position!.sequence], [false, epoch, 1]);
      }
    });

    it('[P2] restores a session on the other replica: subscriptions and missed messages', async () => {
      const publisher = await client(a, 'ann');
      const first = await client(a, 'bob');
      const before = messagesOf(first);
      await ask(first, 'subscribe', { topics: ['session'] });
      for (let n = 1; n <= 5; n++) await ask(publisher, 'publish', { topic: 'session', payload: n });
      await until(() => before.length === 5, 'the first five arrive');
      first.disconnect();
      await until(
        async () =>
          (await redis.command(`EXISTS rtc:session:${String(first.status['session_id'])}`)) === ':1',
        'the session is stored',
      );
      for (let n = 6; n <= 9; n++) await ask(publisher, 'publish', { topic: 'session', payload: n });
      const resume = async (auth: object) => {
        const messages: Message[] = [];
        const socket = await connectClient(b.url, 'bob', {
          transports: [transport],
          auth: { session_id: first.status['session_id'], ...auth },
          listen: (resumed) => resumed.on('message', (message: Message) => messages.push(message)),
        });
        open.push(socket);
        assert.equal(socket.status['session_id'], first.status['session_id']);
        assert.equal(socket.status['recovered'], true);
        return messages;
      };
      const after = await resume({});
      await ask(publisher, 'publish', { topic: 'session', payload: 10 });
      await until(() => after.length >= 10, 'the missed messages and the live one arrive');
      // Its close confirms nothing, and no heartbeat was answered: the first five arrive again, in order.
      assert.deepEqual(
        after.map(({ payload }) => payload),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      );
      open.at(-1)!.close();
      const { epoch, sequence } = before[4]!;
      const exact = await resume({ positions: { session: { epoch, sequence } } });
      await until(() => exact.length >= 5, 'the missed messages arrive');
      assert.deepEqual(
        exact.map(({ payload }) => payload),
        [6, 7, 8, 9, 10],
      );
    });

    it('does not restore the session of another user', async () => {
      const first = await client(a, 'bob');
      await ask(first, 'subscribe', { topics: ['private'] });
      const key = `rtc:session:${String(first.status['session_id'])}`;
      await until(async () => (await redis.command(`EXISTS ${key}`)) === ':1', 'the session is stored');
      const thief = await client(b, 'eve', { session_id: first.status['session_id'] });
      assert.notEqual(thief.status['session_id'], first.status['session_id']);
      assert.deepEqual([thief.status['recovered'], thief.status['topics']], [false, []]);
    });

    it('[P1] keeps the order in which one connection publishes, with and without acknowledgement, text and binary', async () => {
      const reader = await client(b, 'reader');
      const messages = messagesOf(reader);
      await ask(reader, 'subscribe', { topics: ['mixed'] });
      const publisher = await client(a, 'publisher');
      const count = 200;
      for (let n = 0; n < count; n++) {
        const payload = n % 5 === 2 ? { n, bytes: Buffer.from([n]) } : { n };
        const request = { topic: 'mixed', payload };
        if (n % 3 === 0) publisher.emit('publish', request);
        else publisher.emit('publish', request, () => {});
        if (n % 7 === 0) publisher.emit('ping', {}, () => {});
      }
      await until(() => messages.length === count, 'all arrive');
      assert.deepEqual(
        messages.map(({ payload }) => (payload as { n: number }).n),
        Array.from({ length: count }, (_, n) => n),
      );
    });

    it('sends an error event for an invalid publish without acknowledgement', async () => {
      const publisher = await client(a, 'publisher');
      const errors: { code: string }[] = [];
      publisher.on('error', (error: { code: string }) => errors.push(error));
      publisher.emit('publish', { topic: 'no such topic', payload: 1 });
      await until(() => errors.length === 1, 'the error arrives');
      assert.equal(errors[0]!.code, 'invalid_topic');
    });

    it('[P6] confirms a direct message, keeps it for an offline user, and delivers it later', async () => {
      const [ann, bob] = [await client(a, 'ann'), await client(b, 'bob')];
      const got: Message[] = [];
      bob.on('direct', (message: Message, acknowledge: () => void) => {
        got.push(message);
        acknowledge();
      });
      const now = await ask(ann, 'direct', { to: 'bob', payload: { hello: 1 } });
      assert.deepEqual([now.ok, now['delivered'], now['queued'], now['recipients']], [true, 1, false, 1]);
      assert.deepEqual([got[0]!.payload, got[0]!.sender, got[0]!.id], [{ hello: 1 }, 'ann', now.id]);
      const user = `offline-${transport}`;
      const kept = [
        await ask(ann, 'direct', { to: user, payload: 1, key: 'k' }),
        await ask(ann, 'direct', { to: user, payload: 1, key: 'k' }),
      ];
      await ask(ann, 'direct', { to: user, payload: 2 });
      assert.deepEqual(
        kept.map((answer) => [answer.sequence, answer['delivered'], answer['queued']]),
        [
          [1, 0, true],
          [1, 0, true],
        ],
      );
      const inbox: unknown[] = [];
      const socket = io(b.url, { forceNew: true, transports: [transport], auth: { token: tokenOf(user) } });
      open.push(socket);
      socket.on('direct', (message: Message, acknowledge: () => void) => {
        inbox.push(message.payload);
        acknowledge();
      });
      await until(() => inbox.length === 2, 'the inbox arrives');
      assert.deepEqual(inbox, [1, 2]);
      await until(
        async () => (await redis.command(`XLEN rtc:{$user/${user}}:log`)) === ':0',
        'acknowledged messages are removed from the inbox',
      );
    });

    it('[P6] reports how many subscribers acknowledged a confirmed publish', async () => {
      const [ann, bob, cy] = [await client(a, 'ann'), await client(a, 'bob'), await client(b, 'cy')];
      for (const socket of [ann, bob, cy]) await ask(socket, 'subscribe', { topics: ['confirmed'] });
      for (const socket of [bob, cy])
        socket.on('message', (_message: Message, acknowledge?: () => void) => acknowledge?.());
      const answer = await ask(ann, 'publish', {
        topic: 'confirmed',
        payload: 1,
        confirm: 'delivered',
        // Until then the two have acknowledged it.
        timeout_ms: 2000,
      });
      assert.deepEqual([answer['delivered'], answer['expected']], [2, 3]);
      ann.on('message', (_message: Message, acknowledge?: () => void) => acknowledge?.());
      const startedAt = Date.now();
      const all = await ask(ann, 'publish', {
        topic: 'confirmed',
        payload: 2,
        confirm: 'delivered',
        timeout_ms: 5000,
      });
      assert.deepEqual([all['delivered'], all['expected']], [3, 3]);
      assert.ok(Date.now() - startedAt < 4000, 'it does not wait longer than needed');
    });

    it('reports the users present in the whole cluster, and every join and leave', async () => {
      const [ann, bob] = [await client(a, 'ann'), await client(b, 'bob')];
      const events: { event: string; user_id: string }[] = [];
      ann.on('presence', (event: { event: string; user_id: string }) => events.push(event));
      await ask(ann, 'subscribe', { topics: ['room'], presence: true });
      await ask(bob, 'subscribe', { topics: ['room'] });
      const again = await client(b, 'bob');
      await ask(again, 'subscribe', { topics: ['room'] });
      await until(
        async () => (await ask(ann, 'presence', { topic: 'room' }))['count'] === 2,
        'both are present',
      );
      await until(async () => {
        const users = (await ask(ann, 'presence', { topic: 'room' }))['users'] as {
          user_id: string;
          connections: number;
        }[];
        return users.some((user) => user.user_id === 'bob' && user.connections === 2);
      }, 'both connections are counted');
      bob.disconnect();
      again.disconnect();
      await until(
        () => events.some(({ event, user_id }) => event === 'leave' && user_id === 'bob'),
        'the leave is announced',
      );
      assert.equal(events.filter(({ event, user_id }) => event === 'join' && user_id === 'bob').length, 1);
    });

    it('returns the messages after the last received one', async () => {
      const ann = await client(a, 'ann');
      await ask(ann, 'subscribe', { topics: ['m1', 'm2'] });
      const ids: string[] = [];
      for (let n = 1; n <= 6; n++) {
        const { id } = await ask(ann, 'publish', { topic: n % 2 === 0 ? 'm2' : 'm1', payload: n });
        ids.push(id!);
        await sleep(2);
      }
      const answer = await ask(ann, 'missed', { since: ids[2]! });
      assert.deepEqual(
        (answer['messages'] as Message[]).map(({ payload }) => payload),
        [4, 5, 6],
      );
      assert.equal(answer['complete'], true);
    });

    it('unsubscribes, pings and refreshes', async () => {
      const ann = await client(a, 'ann');
      const messages = messagesOf(ann);
      await ask(ann, 'subscribe', { topics: ['left'] });
      assert.deepEqual((await ask(ann, 'unsubscribe', { topics: ['left', 'never'] }))['topics'], ['left']);
      await ask(ann, 'publish', { topic: 'left', payload: 1 });
      const pong = await ask(ann, 'ping', { timestamp: 42 });
      assert.equal(pong['timestamp'], 42);
      assert.ok(Math.abs(Date.now() - (pong['server_time'] as number)) < 10_000);
      const refreshed = await ask(ann, 'refresh', { token: tokenOf('ann') });
      assert.ok((refreshed['expires_at'] as number) > Date.now());
      assert.equal((await ask(ann, 'refresh', { token: tokenOf('eve') })).error!.code, 'forbidden');
      assert.equal((await ask(ann, 'refresh', { token: 'x' })).error!.code, 'unauthorized');
      assert.deepEqual(messages, []);
    });

    it('answers every invalid request with its code and field, and continues', async () => {
      const ann = await client(a, 'ann');
      let deep: unknown = 1;
      for (let n = 0; n < 500; n++) deep = [deep];
      const wrong: [string, unknown, string, string?][] = [
        ['publish', { topic: 't' }, 'invalid_message', 'payload'],
        ['publish', { topic: 't', payloda: 1, payload: 1 }, 'invalid_message', 'payloda'],
        ['publish', { topic: 't', payload: 1, key: 5 }, 'invalid_message', 'key'],
        ['publish', { topic: 'with space', payload: 1 }, 'invalid_topic', 'topic'],
        ['publish', { topic: '', payload: 1 }, 'invalid_topic', 'topic'],
        ['publish', { topic: '$user/bob', payload: 1 }, 'invalid_topic', 'topic'],
        ['publish', { topic: 'x'.repeat(201), payload: 1 }, 'invalid_topic', 'topic'],
        ['publish', { topic: '__proto__', payload: 1 }, 'invalid_topic', 'topic'],
        ['publish', { topic: 't', payload: deep }, 'invalid_payload', 'payload'],
        [
          'publish',
          { topic: 't', payload: JSON.parse('{"a":{"__proto__":{"x":1}}}') },
          'invalid_payload',
          'payload.__proto__',
        ],
        ['publish', { topic: 't', payload: 'x'.repeat(65_535) }, 'message_too_large', 'payload'],
        ['publish', 'text', 'invalid_message'],
        ['subscribe', { topics: [] }, 'invalid_message', 'topics'],
        ['subscribe', { topics: ['t'], since: 5 }, 'invalid_message', 'since'],
        ['history', { topic: 't', limit: 100_000 }, 'invalid_message', 'limit'],
        ['presence', {}, 'invalid_message', 'topic'],
        ['nonsense', {}, 'unknown_type'],
      ];
      for (const [command, request, code, field] of wrong) {
        const answer = (await ann.timeout(30_000).emitWithAck(command, request)) as TestAnswer;
        assert.deepEqual(
          [answer.ok, answer.error?.code],
          [false, code],
          `${command} ${JSON.stringify(request)?.slice(0, 80)}`,
        );
        if (field !== undefined) assert.equal(answer.error!.field, field);
      }
      const large = (await ann.emitWithAck('publish', {
        topic: 't',
        payload: 'ü'.repeat(40_000),
      })) as TestAnswer;
      assert.deepEqual(
        [large.error!.code, large.error!.limit, large.error!.size],
        ['message_too_large', 65_536, 80_002],
      );
      const rejected = await ask(ann, 'subscribe', { topics: ['fine', 'not fine'] });
      assert.deepEqual(
        (rejected['topics'] as { topic: string }[]).map(({ topic }) => topic),
        ['fine'],
      );
      assert.equal((rejected['rejected'] as { error: { code: string } }[])[0]!.error.code, 'invalid_topic');
      const refusal = new Promise<{ code: string }>((resolve) => ann.once('error', resolve));
      ann.emit('nonsense');
      assert.equal((await refusal).code, 'unknown_type');
      assert.equal((await ask(ann, 'publish', { topic: 't', payload: 'x'.repeat(65_534) })).ok, true);
    });

    it('refuses invalid tokens with a reason', async () => {
      for (const [token, code] of [
        [undefined, 'unauthorized'],
        ['rubbish', 'unauthorized'],
        [tokenOf('ann').slice(0, -2), 'unauthorized'],
        [tokenOf('ann', { exp: Math.floor(Date.now() / 1000) - 120 }), 'token_expired'],
        [tokenOf('ann', { roles: 'admin' }), 'unauthorized'],
      ] as const) {
        const refusal = await new Promise<{ data: { code: string } }>((resolve) => {
          const socket = io(a.url, {
            forceNew: true,
            reconnection: false,
            transports: [transport],
            auth: { token },
          });
          open.push(socket);
          socket.once('connect_error', resolve as never);
        });
        assert.equal(refusal.data.code, code);
      }
    });
  });
}

describe('[WIRE] /ws', function () {
  let replica: TestReplica;
  const open: JsonClient[] = [];
  const client = async (userId = 'ann', query = ''): Promise<JsonClient> => {
    const made = new JsonClient(replica.webSocketUrl, userId, query);
    open.push(made);
    await until(() => made.of('Status').length > 0, 'the connection gets its status');
    return made;
  };
  const answer = async (made: JsonClient, frame: object, id: string | number = Math.random()) => {
    made.send({ ...frame, id });
    await until(
      () => made.frames.some((one) => one.id === id),
      `an answer to ${JSON.stringify(frame).slice(0, 80)}`,
    );
    return made.frames.find((one) => one.id === id)!;
  };
  before(async () => {
    replica = await TestReplica.start();
  });
  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });
  after(() => replica.end());

  it('answers Subscribe with Status and a Broadcast with the message itself', async () => {
    const ann = await client();
    assert.deepEqual(ann.frames[0]!.data['status'], 'connected');
    ann.send({ type: 'Subscribe', data: { topics: ['news'] } });
    await until(() => ann.of('Status').length === 2, 'the subscription is confirmed');
    const { status, details } = ann.of('Status')[1]!.data as {
      status: string;
      details: { topics: string[] };
    };
    assert.deepEqual([status, details.topics], ['subscribed', ['news']]);
    ann.send({ type: 'Broadcast', data: { topic: 'news', payload: { hi: 1 } } });
    await until(() => ann.received.messages.length === 1, 'the message arrives');
    assert.deepEqual(ann.received.messages[0]!.payload, { hi: 1 });
    assert.equal(ann.of('Ack').length, 0);
  });

  it('answers every command that has an id, with the id', async () => {
    const ann = await client();
    assert.equal((await answer(ann, { type: 'Subscribe', data: { topics: ['t'] } }, 'x1')).type, 'Status');
    const published = await answer(
      ann,
      { type: 'Broadcast', data: { topic: 't', payload: { $base64: 'AQI=' } } },
      7,
    );
    assert.deepEqual([published.type, published.data['sequence']], ['Ack', 1]);
    await until(() => ann.received.messages.length === 1, 'the message arrives');
    assert.deepEqual(ann.received.messages[0]!.payload, { $base64: 'AQI=' });
    assert.equal((await answer(ann, { type: 'Ping', data: { timestamp: 1 } })).type, 'Pong');
    const history = await answer(ann, { type: 'GetHistory', data: { topic: 't' } });
    assert.equal((history.data['messages'] as Message[]).length, 1);
    const missed = await answer(ann, {
      type: 'GetMissedMessages',
      data: { since: '00000000-0000-7000-8000-000000000000' },
    });
    assert.equal((missed.data['messages'] as Message[]).length, 1);
    const presence = await answer(ann, { type: 'GetPresence', data: { topic: 't' } });
    assert.deepEqual(presence.data['users'], [{ user_id: 'ann', connections: 1 }]);
    assert.equal(
      (await answer(ann, { type: 'RefreshToken', data: { token: tokenOf('ann') } })).type,
      'Status',
    );
    assert.equal((await answer(ann, { type: 'Unsubscribe', data: { topics: ['t'] } })).type, 'Status');
    assert.equal((await answer(ann, { type: 'Nonsense' })).type, 'Error');
  });

  it('sends missed messages as Broadcast frames if no answer was requested', async () => {
    const ann = await client();
    await answer(ann, { type: 'Subscribe', data: { topics: ['q'] } });
    for (let n = 0; n < 3; n++) await answer(ann, { type: 'Broadcast', data: { topic: 'q', payload: n } });
    await until(() => ann.received.messages.length === 3, 'all arrive');
    ann.send({ type: 'GetMissedMessages', data: { since: ann.received.ids[0], session_id: 'none' } });
    await until(
      () => ann.of('Status').some(({ data }) => data['status'] === 'missed'),
      'the end is announced',
    );
    assert.deepEqual(ann.received.sequences, [1, 2, 3, 2, 3]);
  });

  it('[P6] acknowledges direct messages', async () => {
    const [ann, bob] = [await client('ann'), await client('bob')];
    const sending = answer(ann, { type: 'Direct', data: { to: 'bob', payload: 'hi', timeout_ms: 5000 } });
    await until(() => bob.of('Direct').length === 1, 'the message arrives');
    bob.send({ type: 'Ack', data: { message_id: bob.of('Direct')[0]!.data['id'] } });
    assert.deepEqual([(await sending).data['delivered'], (await sending).data['queued']], [1, false]);
  });

  it('resumes a session named in the URL', async () => {
    const [ann, bob] = [await client('ann'), await client('bob')];
    const session = (bob.frames[0]!.data['details'] as { session_id: string }).session_id;
    await answer(bob, { type: 'Subscribe', data: { topics: ['s'] } });
    bob.close();
    await until(() => bob.webSocket.readyState === WebSocket.CLOSED, 'it is closed');
    for (let n = 0; n < 3; n++) await answer(ann, { type: 'Broadcast', data: { topic: 's', payload: n } });
    const again = await client('bob', `&session_id=${session}`);
    await until(() => again.received.messages.length === 3, 'the missed messages arrive');
    assert.deepEqual(again.received.sequences, [1, 2, 3]);
  });

  it('answers invalid frames with an Error and continues', async () => {
    const ann = await client();
    const wrong: [Buffer | string, string][] = [
      ['{bad', 'invalid_json'],
      [Buffer.from([1, 2, 3]), 'invalid_message'],
      ['[]', 'invalid_message'],
      ['{"type":5}', 'invalid_message'],
      ['{"type":"Ping","id":{}}', 'invalid_message'],
      ['{"type":"Broadcast"}', 'invalid_message'],
      ['{"type":"Broadcast","data":{"topic":"t","payload":{"__proto__":1}}}', 'invalid_payload'],
      [
        `{"type":"Broadcast","data":{"topic":"t","payload":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`,
        'invalid_payload',
      ],
      [`{"type":"Broadcast","data":{"topic":"t","payload":"${'x'.repeat(70_000)}"}}`, 'message_too_large'],
      [`{"type":"Broadcast","data":{"topic":"t","payload":{"$base64":"?"}}}`, 'invalid_payload'],
      ['{"type":"Ack","data":{}}', 'invalid_message'],
      ['{"type":"constructor"}', 'unknown_type'],
    ];
    for (const [frame, code] of wrong) {
      const before = ann.of('Error').length;
      ann.webSocket.send(frame);
      await until(() => ann.of('Error').length > before, `an error for ${String(frame).slice(0, 40)}`);
      assert.equal(ann.of('Error').at(-1)!.data['code'], code, String(frame).slice(0, 60));
    }
    assert.equal((await answer(ann, { type: 'Ping', data: {} })).type, 'Pong');
  });

  it('answers text that is not UTF-8 with an Error and continues', async () => {
    const ann = await client();
    const { _socket: socket } = ann.webSocket as unknown as { _socket: { write(data: Buffer): void } };
    // A masked text frame (mask 0) with a lone continuation byte.
    socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x80, 0x41]));
    await until(() => ann.of('Error').length === 1, 'an error');
    assert.equal(ann.of('Error')[0]!.data['code'], 'invalid_json');
    assert.equal((await answer(ann, { type: 'Ping', data: {} })).type, 'Pong');
  });

  it('refuses invalid tokens at the upgrade with 401 and a JSON body', async () => {
    const refusal = await new Promise<{ status: number; body: string }>((resolve) => {
      const webSocket = new WebSocket(`${replica.webSocketUrl}?token=wrong`);
      webSocket.on('error', () => {});
      webSocket.on('unexpected-response', (_request, response) => {
        let body = '';
        response.on('data', (data: Buffer) => (body += data.toString()));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
    });
    assert.equal(refusal.status, 401);
    assert.equal((JSON.parse(refusal.body) as { error: { code: string } }).error.code, 'unauthorized');
  });

  it('survives connections that send nothing or garbage', async () => {
    for (const start of [
      '',
      'GET /ws HTTP/1.1\r\n',
      '\u0000\u0001\u0002',
      'GET /ws?token=x HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      // A request target that is not a URL.
      'GET // HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      'GET http://[ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    ]) {
      const socket = connect(replica.port, '127.0.0.1');
      socket.on('error', () => {});
      await new Promise<void>((resolve) => socket.write(start === '' ? ' ' : start, () => resolve()));
      socket.destroy();
    }
    assert.equal((await answer(await client(), { type: 'Ping', data: {} })).type, 'Pong');
    assert.doesNotMatch(replica.output, /Uncaught/);
  });
});

for (const storage of ['redis', 'memory'] as const) {
  describe(`[P6] an inbox, in ${storage}`, () => {
    let redis: TestRedis | undefined;
    let replica: TestReplica;
    before(async () => {
      redis = storage === 'redis' ? await TestRedis.start() : undefined;
      replica = await TestReplica.start({
        ...(redis && { REDIS_URL: redis.url }),
        RTC_DIRECT_INBOX_SIZE: '3',
        RTC_DIRECT_INBOX_SENDER_PERCENT: '100',
      });
    });
    after(async () => {
      await replica.end('SIGKILL');
      await redis?.stop();
    });

    it('refuses more messages when it is full, loses none, and accepts more after an acknowledgement', async () => {
      const ann = await connectClient(replica.url, 'ann');
      const send = (n: number) =>
        ann.emitWithAck('direct', { to: 'bob', payload: n, confirm: 'stored' }) as Promise<TestAnswer>;
      for (const n of [1, 2, 3]) assert.equal((await send(n)).ok, true);
      const refused = await send(4);
      assert.deepEqual([refused.ok, refused.error?.code], [false, 'busy']);
      const got: unknown[] = [];
      const acknowledgements: (() => void)[] = [];
      const bob = await connectClient(replica.url, 'bob', {
        listen: (socket) =>
          socket.on('direct', ({ payload }: Message, acknowledge: () => void) => {
            got.push(payload);
            acknowledgements.push(acknowledge);
          }),
      });
      await until(() => got.length === 3, 'the inbox arrives');
      assert.deepEqual(got, [1, 2, 3]);
      acknowledgements[0]!();
      await until(async () => (await send(4)).ok, 'there is room', 8000);
      ann.disconnect();
      bob.disconnect();
    });
  });
}

describe('[AUTH] server-side subscriptions and permissions', function () {
  let replica: TestReplica;
  before(async () => {
    replica = await TestReplica.start({
      RTC_PERMISSIONS: JSON.stringify([
        {
          role: 'user',
          topics: ['public.*', 'load.test'],
          allow: ['subscribe', 'publish', 'history', 'presence'],
        },
        { role: 'reader', topics: ['*'], allow: ['subscribe'] },
      ]),
    });
  });
  after(() => replica.end());

  it('subscribes a connection to the topics that its token names', async () => {
    const socket = await connectClient(replica.url, 'ann', {
      auth: { token: tokenOf('ann', { topics: ['load.test', 'public.*'] }) },
    });
    const messages: Message[] = [];
    socket.on('message', (message: Message) => messages.push(message));
    assert.deepEqual(
      (socket.status['topics'] as { topic: string }[]).map(({ topic }) => topic),
      ['load.test'],
    );
    await socket.emitWithAck('publish', { topic: 'load.test', payload: 1 });
    await until(() => messages.length === 1, 'the message arrives');
    socket.close();
  });

  it('allows exactly what role and token allow', async () => {
    const codeOf = async (socket: Client, command: string, request: object) =>
      ((await socket.emitWithAck(command, request)) as TestAnswer).error?.code;
    const user = await connectClient(replica.url, 'ann');
    assert.equal(await codeOf(user, 'publish', { topic: 'public.a', payload: 1 }), undefined);
    assert.equal(await codeOf(user, 'publish', { topic: 'secret', payload: 1 }), 'forbidden');
    assert.equal(await codeOf(user, 'history', { topic: 'secret' }), 'forbidden');
    assert.equal(await codeOf(user, 'direct', { to: 'bob', payload: 1 }), 'forbidden');
    const reader = await connectClient(replica.url, 'rea', {
      auth: { token: tokenOf('rea', { roles: ['reader'] }) },
    });
    assert.equal(await codeOf(reader, 'publish', { topic: 'public.a', payload: 1 }), 'forbidden');
    const narrow = await connectClient(replica.url, 'nan', {
      auth: { token: tokenOf('nan', { topics: ['public.one'] }) },
    });
    assert.equal(await codeOf(narrow, 'publish', { topic: 'public.two', payload: 1 }), 'forbidden');
    for (const socket of [user, reader, narrow]) socket.close();
  });
});

describe('[AUTH] tokens of live connections', function () {
  let replica: TestReplica;
  before(async () => {
    replica = await TestReplica.start({ RTC_AUTH_LEEWAY_SECS: '0' });
  });
  after(() => replica.end());

  it('get a warning before they expire, can be refreshed, and otherwise close the connection', async () => {
    const soon = Math.floor(Date.now() / 1000) + 6;
    const open = (listen: NonNullable<ClientOptions['listen']>) =>
      connectClient(replica.url, 'ann', { auth: { token: tokenOf('ann', { exp: soon }) }, listen });
    const notices: { expires_at: number }[] = [];
    const codes: string[] = [];
    const kept = await open((socket) =>
      socket.on('token_expiring', (notice: { expires_at: number }) => notices.push(notice)),
    );
    const lost = await open((socket) => socket.on('error', ({ code }: { code: string }) => codes.push(code)));
    await until(() => notices.length > 0, 'the warning');
    assert.equal(notices[0]!.expires_at, soon * 1000);
    assert.equal(((await kept.emitWithAck('refresh', { token: tokenOf('ann') })) as TestAnswer).ok, true);
    await until(() => lost.disconnected, 'the expired one is closed');
    assert.deepEqual(codes, ['token_expired']);
    assert.equal(kept.connected, true);
    kept.close();
  });
});

describe('[HTTP] health, metrics and /api', function () {
  let replica: TestReplica;
  const bearer = { Authorization: `Bearer ${tokenOf('backend')}` };
  before(async () => {
    replica = await TestReplica.start();
  });
  after(() => replica.end());

  it('answers health, readiness and metrics', async () => {
    assert.equal((await replica.json<{ status: string }>('/health')).status, 'ok');
    assert.equal((await fetch(`${replica.url}/health/ready`)).status, 200);
    const socket = await connectClient(replica.url, 'ann');
    assert.equal((await replica.json<{ active_connections: number }>('/metrics')).active_connections, 1);
    const text = await (await fetch(`${replica.url}/metrics`, { headers: { Accept: 'text/plain' } })).text();
    assert.match(text, /^rtc_active_connections\{wire="socketio"\} 1$/m);
    socket.close();
  });

  it('accepts publishes of backends, also as curl sends them, and answers errors with their status', async () => {
    const post = (body: string, headers: Record<string, string> = bearer) =>
      fetch(`${replica.url}/api/publish`, {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
      });
    const first = await post('{"topic":"t","payload":1}', { ...bearer, 'Idempotency-Key': 'k' });
    const again = await post('{"topic":"t","payload":1}', { ...bearer, 'Idempotency-Key': 'k' });
    assert.deepEqual([first.status, ((await first.json()) as TestAnswer).sequence], [200, 1]);
    assert.equal(((await again.json()) as TestAnswer)['duplicate'], true);
    assert.equal((await post('{"topic":"t"}')).status, 400);
    assert.equal((await post('{bad')).status, 400);
    assert.equal((await post('{}', { Authorization: '' })).status, 401);
    assert.equal((await fetch(`${replica.url}/nothing`)).status, 404);
    const history = await replica.json<TestAnswer>('/api/history?topic=t&limit=10', { headers: bearer });
    assert.equal((history['messages'] as Message[]).length, 1);
  });

  it('ends with 0 on SIGTERM', async () => {
    const other = await TestReplica.start();
    const socket = await connectClient(other.url, 'ann');
    assert.equal(await other.end('SIGTERM'), 0);
    socket.close();
  });

  it('refuses to start in production without a secret', async () => {
    await assert.rejects(
      TestReplica.start({ NODE_ENV: 'production', JWT_SECRET: '' }),
      /ended with 2: auth\.jwt_secret: set JWT_SECRET/,
    );
  });

  it('generates a secret and prints a token to try in development', async () => {
    const other = await TestReplica.start({ JWT_SECRET: '' });
    await until(
      () => /npx wscat -c "ws:\/\/localhost:\d+\/ws\?token=(\S+)"/.test(other.output),
      'the line to try is printed',
    );
    const token = /token=([^"]+)"/.exec(other.output)![1]!;
    const webSocket = new WebSocket(`${other.webSocketUrl}?token=${token}`);
    await new Promise((resolve, reject) => webSocket.once('open', resolve).once('error', reject));
    webSocket.close();
    await other.end();
  });
});
