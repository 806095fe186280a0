import assert from 'node:assert/strict';
import { io as connectTo } from 'socket.io-client';
import { RefusalError, roomOf } from '../../server/index.js';
import { connectClient, emit, JsonClient, type TestAnswer } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { TestRedis } from '../support/redis.js';
import { tokenOf } from '../support/replica.js';
import { permissionRules } from '../support/subscription-model.js';
import { until } from '../support/wait.js';

interface Status {
  status: string;
  details: Record<string, unknown> & { rejected?: { topic: string; error: { code: string } }[] };
}

for (const storage of ['memory', 'Redis'] as const) {
  describe(`[GATE] subscriptions, ${storage}`, () => {
    let redis: TestRedis | undefined;
    let service: EmbeddedService;
    /** Resolves the hook of a topic that ends with `.held`. */
    const held: ((error?: Error) => void)[] = [];
    const closing: (() => void)[] = [];
    let user = 0;

    before(async () => {
      if (storage === 'Redis') redis = await TestRedis.start();
      service = await startEmbedded(
        {
          RTC_PERMISSIONS: JSON.stringify(permissionRules),
          RTC_WEBSOCKET_MAX_TOPICS_PER_CONNECTION: '5',
          RTC_ACTOR_SYSTEM_HOOK_TIMEOUT_MS: '60000',
          ...(redis && { REDIS_URL: redis.url }),
        },
        {
          hooks: {
            onSubscribe: ({ topic }) => {
              if (!topic.endsWith('.held')) return;
              return new Promise<void>((resolve, reject) =>
                held.push((error) => (error === undefined ? resolve() : reject(error))),
              );
            },
          },
        },
      );
    });
    beforeEach(() => user++);
    afterEach(() => {
      for (const close of closing.splice(0)) close();
      for (const release of held.splice(0)) release();
    });
    after(async () => {
      await service.service.close();
      await redis?.stop();
    });

    const connect = async (roles: string[], auth: object = {}) => {
      const name = `ann-${storage}-${user}`;
      const statuses: Status[] = [];
      const client = await connectClient(service.url, name, {
        auth: { token: tokenOf(name, { roles }), ...auth },
        listen: (socket) =>
          socket.once('status', () => socket.on('status', (status: Status) => statuses.push(status))),
      });
      closing.push(() => client.disconnect());
      const refresh = (next: object) => emit(client, 'refresh', { token: tokenOf(name, next) });
      return Object.assign(client, { statuses, refresh });
    };
    const rooms = (id: string) =>
      [...(service.service.io.of('/').adapter.sids.get(id) ?? [])].filter((room) => room !== id).sort();
    const rejected = (answer: TestAnswer) =>
      (answer['rejected'] as { topic: string; error: { code: string } }[]).map(({ topic, error }) => [
        topic,
        error.code,
      ]);
    const leave = async (client: { id?: string | undefined; disconnect(): void }) => {
      const { id } = client;
      client.disconnect();
      await until(() => !service.service.io.of('/').sockets.has(id!), 'the connection has left');
    };
    const setMode = async (mode: string) => {
      const response = await fetch(`${service.url}/admin/emergency-mode`, {
        method: 'POST',
        headers: { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` },
        body: JSON.stringify({ mode }),
      });
      assert.equal(response.status, 200);
    };

    it('end when a refreshed token does not allow them, and no resume brings them back', async () => {
      const client = await connect(['reader', 'other']);
      await emit(client, 'subscribe', { topics: ['a.1', 'c.1'], presence: true });
      await client.refresh({ roles: ['reader'] });
      assert.deepEqual(rooms(client.id!), ['presence:a.1', roomOf('a.1')]);
      assert.equal(client.statuses.length, 1);
      const { status, details } = client.statuses[0]!;
      assert.equal(status, 'unsubscribed');
      assert.deepEqual(details['topics'], ['c.1']);
      assert.equal(details['by'], 'token');
      assert.equal((details['reason'] as { code: string }).code, 'forbidden');
      await leave(client);
      const again = await connect(['reader', 'other'], { session_id: client.status['session_id'] });
      assert.deepEqual(
        (again.status['topics'] as { topic: string }[]).map(({ topic }) => topic),
        ['a.1'],
      );
    });

    it('go on without presence events when a refreshed token does not allow those', async () => {
      const client = await connect(['live', 'watcher']);
      await emit(client, 'subscribe', { topics: ['b.1'], presence: true });
      assert.deepEqual(rooms(client.id!), ['presence:b.1', roomOf('b.1')]);
      await client.refresh({ roles: ['live'] });
      assert.deepEqual(rooms(client.id!), [roomOf('b.1')]);
      assert.deepEqual(
        client.statuses.map(({ status, details }) => [status, details['topics'], details['by']]),
        [['presence_ended', ['b.1'], 'token']],
      );
    });

    it('of /ws end too when a refreshed token does not allow them', async () => {
      const name = `bob-${storage}`;
      const client = new JsonClient(service.webSocketUrl, name);
      closing.push(() => client.close());
      await until(() => client.of('Status').length === 1, 'connected');
      const refresh = (roles: string[]) =>
        client.send({ type: 'RefreshToken', id: 'r', data: { token: tokenOf(name, { roles }) } });
      refresh(['reader', 'other']);
      client.send({ type: 'Subscribe', data: { topics: ['a.1', 'c.1'], presence: true } });
      await until(() => client.of('Status').length === 3, 'subscribed');
      refresh(['other']);
      await until(() => client.of('Status').length === 5, 'refreshed');
      const [ended, answer] = client.of('Status').slice(3);
      assert.deepEqual([ended!.data['status'], answer!.data['status']], ['unsubscribed', 'token_refreshed']);
      assert.deepEqual((ended!.data['details'] as Status['details'])['topics'], ['a.1']);
    });

    it('that a refreshed token asks for are there with its answer', async () => {
      const client = await connect(['reader']);
      await client.refresh({ roles: ['reader'], topics: ['a.1', 'c.1', 'a.*'] });
      assert.deepEqual(rooms(client.id!), [roomOf('a.1')]);
      const { status, details } = client.statuses[0]!;
      assert.equal(status, 'subscribed');
      assert.deepEqual(details['topics'], ['a.1']);
      assert.deepEqual(
        details.rejected!.map(({ topic, error }) => [topic, error.code]),
        [['c.1', 'forbidden']],
      );
    });

    it('that wait for a hook are refused if the token loses the right meanwhile', async () => {
      const client = await connect(['reader']);
      const answer = emit(client, 'subscribe', { topics: ['a.held'] });
      await until(() => held.length === 1, 'the hook runs');
      await client.refresh({ roles: ['other'] });
      assert.deepEqual(rooms(client.id!), []);
      held.splice(0)[0]!();
      assert.deepEqual(rejected(await answer), [['a.held', 'conflict']]);
      assert.deepEqual(rooms(client.id!), []);
    });

    it('that wait for a hook are refused if presence, or the mode, is not allowed any more', async () => {
      const client = await connect(['live', 'watcher']);
      const watching = emit(client, 'subscribe', { topics: ['b.held'], presence: true });
      await until(() => held.length === 1, 'the hook runs');
      await client.refresh({ roles: ['live'] });
      held.splice(0)[0]!();
      assert.deepEqual(rejected(await watching), [['b.held', 'forbidden']]);
      const late = emit(client, 'subscribe', { topics: ['b.held'] });
      await until(() => held.length === 1, 'the hook runs again');
      await setMode('maintenance');
      held.splice(0)[0]!();
      assert.deepEqual(rejected(await late), [['b.held', 'read_only']]);
      await setMode('normal');
      assert.deepEqual(rooms(client.id!), []);
    });

    it('that wait for a hook are ended by unsubscribe, and leave nothing if the hook fails or the client goes', async () => {
      const client = await connect(['reader']);
      const first = emit(client, 'subscribe', { topics: ['a.held'] });
      await until(() => held.length === 1, 'the hook runs');
      assert.deepEqual((await emit(client, 'unsubscribe', { topics: ['a.held'] }))['topics'], ['a.held']);
      held.splice(0)[0]!();
      assert.deepEqual(rejected(await first), [['a.held', 'conflict']]);
      const second = emit(client, 'subscribe', { topics: ['a.held'] });
      await until(() => held.length === 1, 'the hook runs again');
      assert.deepEqual(rooms(client.id!), []);
      held.splice(0)[0]!(new RefusalError('forbidden', 'not now'));
      assert.deepEqual(rejected(await second), [['a.held', 'forbidden']]);
      assert.deepEqual(rooms(client.id!), []);
      void emit(client, 'subscribe', { topics: ['a.held'] }).catch(() => {});
      await until(() => held.length === 1, 'the hook runs for the third time');
      await leave(client);
      held.splice(0)[0]!();
      const again = await connect(['reader'], { session_id: client.status['session_id'] });
      assert.deepEqual(again.status['topics'], []);
    });

    it('count for the limit while they are on their way or still to be restored', async () => {
      const name = `ann-${storage}-${user}`;
      const positions = { 'a.held': { epoch: 'x', sequence: 1 }, 'a.1': { epoch: 'x', sequence: 1 } };
      const auth = { token: tokenOf(name, { roles: ['reader'] }), positions };
      const client = connectTo(service.url, { forceNew: true, transports: ['websocket'], auth });
      closing.push(() => client.disconnect());
      const statuses: Status[] = [];
      client.on('status', (status: Status) => statuses.push(status));
      await until(() => held.length === 1, 'the hook of a restored topic runs');
      const two = emit(client, 'subscribe', { topics: ['a.2.held', 'a.3'] });
      await until(() => held.length === 2, 'the hook of a subscribed topic runs');
      assert.deepEqual(rejected(await emit(client, 'subscribe', { topics: ['a.4', 'a.5', 'a.6'] })), [
        ['a.5', 'too_many_topics'],
        ['a.6', 'too_many_topics'],
      ]);
      for (const release of held.splice(0)) release();
      assert.deepEqual(rejected(await two), []);
      await until(() => statuses.length === 1, 'the session is restored');
      assert.deepEqual(
        rooms(client.id!),
        ['a.1', 'a.2.held', 'a.3', 'a.4', 'a.held'].map((topic) => roomOf(topic)),
      );
    });

    it('beyond the limit are refused at once, by subscribe and by positions', async () => {
      const positions = Object.fromEntries(
        Array.from({ length: 300 }, (_, n) => [`a.${n}`, { epoch: 'x', sequence: 0 }]),
      );
      const client = await connect(['reader'], { positions });
      assert.equal((client.status['topics'] as unknown[]).length, 5);
      const more = client.status['rejected'] as { error: { code: string; limit: number } }[];
      assert.equal(more.length, 100, 'the list is bounded');
      assert.deepEqual([more[0]!.error.code, more[0]!.error.limit], ['too_many_topics', 5]);
      await emit(client, 'unsubscribe', { topics: ['a.0', 'a.1', 'a.2', 'a.3'] });
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, n) => emit(client, 'subscribe', { topics: [`a.more${n}`] })),
      );
      assert.equal(answers.filter((answer) => rejected(answer).length === 0).length, 4);
      assert.equal(rooms(client.id!).length, 5);
    });

    it('go back no further than their session without the right to read history', async () => {
      const writer = await connect(['writer']);
      const topic = `b.${storage}.${user}`;
      const publish = (payload: unknown) => emit(writer, 'publish', { topic, payload });
      const { epoch } = await publish('before');
      const zero = { [topic]: { epoch, sequence: 0 } };
      const listen = (client: Awaited<ReturnType<typeof connect>>) => {
        const payloads: unknown[] = [];
        client.on('message', (message: { payload: unknown }) => payloads.push(message.payload));
        return payloads;
      };
      const live = await connect(['live']);
      const payloads = listen(live);
      const answer = await emit(live, 'subscribe', { topics: [topic], since: zero });
      assert.equal((answer['topics'] as { recovered: boolean }[])[0]!.recovered, false);
      await publish('live');
      await until(() => payloads.length === 1, 'a live message arrives');
      assert.deepEqual(payloads, ['live']);
      await emit(live, 'unsubscribe', { topics: [topic] });
      await emit(live, 'subscribe', { topics: [topic] });
      await leave(live);
      await publish('missed');
      const again = await connect(['live'], { session_id: live.status['session_id'], positions: zero });
      const [restored] = again.status['topics'] as { topic: string; recovered: boolean; missed: number }[];
      assert.deepEqual([restored!.topic, restored!.recovered, restored!.missed], [topic, true, 1]);
      const stranger = await connect(['live'], { positions: zero });
      const none = stranger.status['topics'] as { recovered: boolean }[];
      assert.equal(none[0]!.recovered, false);
    });

    it('are not restored in maintenance, and are afterwards', async () => {
      const client = await connect(['reader']);
      await emit(client, 'subscribe', { topics: ['a.1'] });
      await leave(client);
      await setMode('maintenance');
      try {
        const again = await connect(['reader'], {
          session_id: client.status['session_id'],
          positions: { 'a.2': { epoch: 'x', sequence: 0 } },
        });
        assert.deepEqual(again.status['topics'], []);
        assert.deepEqual(rooms(again.id!), []);
        await setMode('normal');
        await until(() => rooms(again.id!).length === 2, 'the topics are restored');
        await until(() => again.statuses.length === 1, 'the client is notified');
        assert.deepEqual((again.statuses[0]!.details['topics'] as string[]).sort(), ['a.1', 'a.2']);
      } finally {
        await setMode('normal');
      }
    });

    it('that a program ends by its own means do not come back either', async () => {
      const client = await connect(['reader']);
      await emit(client, 'subscribe', { topics: ['a.1', 'a.2'] });
      service.service.io.in(client.id!).socketsLeave(roomOf('a.1'));
      await until(() => rooms(client.id!).length === 1, 'the socket has left the room');
      await leave(client);
      const again = await connect(['reader'], { session_id: client.status['session_id'] });
      assert.deepEqual(
        (again.status['topics'] as { topic: string }[]).map(({ topic }) => topic),
        ['a.2'],
      );
    });
  });
}
