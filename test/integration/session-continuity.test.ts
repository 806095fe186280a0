import assert from 'node:assert/strict';
import { createClient } from 'redis';
import type { Socket } from 'socket.io-client';
import type { Message } from '../../shared/message.js';
import type { Position } from '../../shared/position.js';
import { request as call } from '../support/admin.js';
import { connectClient, emit } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/wait.js';

interface Status {
  session_id: string;
  connection_id: string;
  recovered?: boolean;
  topics: { topic: string; recovered?: boolean }[];
}

/** A client that records what it receives. */
class Client {
  readonly messages: Message[] = [];
  readonly directs: Message[] = [];
  readonly gaps: { topic: string; reason: string; previous: Position }[] = [];
  readonly acks: (() => void)[] = [];

  private renamed: string | undefined;
  socket!: Awaited<ReturnType<typeof connectClient>>;

  private constructor() {}

  static async connect(url: string, user: string, auth: object = {}): Promise<Client> {
    const client = new Client();
    client.socket = await connectClient(url, user, { auth, listen: (socket) => client.listen(socket) });
    return client;
  }

  /** The id of its session, as it was told last. */
  get sessionId(): string {
    return this.renamed ?? this.status.session_id;
  }

  /** The details of its first `status`. */
  get status(): Status {
    return this.socket.status as unknown as Status;
  }

  get topics(): string[] {
    return this.status.topics.map(({ topic }) => topic).sort();
  }

  payloads(topic: string): unknown[] {
    return this.messages.filter((message) => message.topic === topic).map(({ payload }) => payload);
  }

  ask(command: string, request: object) {
    return emit(this.socket, command, request);
  }

  /** Without a farewell to Socket.IO. */
  cut(): void {
    this.socket.io.engine.close();
  }

  private listen(socket: Socket): void {
    socket.on('message', (message: Message) => this.messages.push(message));
    socket.on('direct', (message: Message, ack: () => void) => {
      this.directs.push(message);
      this.acks.push(ack);
    });
    socket.on('status', ({ status, details }: { status: string; details: Status }) => {
      if (status === 'session') this.renamed = details.session_id;
    });
    socket.on('gap', (gap: Client['gaps'][number]) => this.gaps.push(gap));
  }
}

describe('[SESSION] sessions through faults', () => {
  const clients: Client[] = [];
  const replicas: TestReplica[] = [];
  let redis: TestRedis;
  let a: TestReplica;
  let b: TestReplica;

  const start = async (environment: NodeJS.ProcessEnv = {}) => {
    const replica = await TestReplica.start({
      REDIS_URL: redis.url,
      RTC_WEBSOCKET_HEARTBEAT_INTERVAL_SECS: '1',
      RTC_WEBSOCKET_CLIENT_TIMEOUT_SECS: '4',
      ...environment,
    });
    replicas.push(replica);
    return replica;
  };
  const connect = async (to: TestReplica | string, user: string, session?: string) => {
    const url = typeof to === 'string' ? to : to.url;
    const client = await Client.connect(url, user, session === undefined ? {} : { session_id: session });
    clients.push(client);
    return client;
  };
  const stored = async (session: string) => {
    const { status, body } = await call(b, 'GET', `/sessions/${session}`);
    if (status !== 200) return undefined;
    return body as unknown as { topics: Record<string, Position>; owner: string | null };
  };
  const hasTopics = (session: string, ...topics: string[]) =>
    until(
      async () =>
        Object.keys((await stored(session))?.topics ?? {})
          .sort()
          .join() === topics.join(),
      `the session has ${topics.join()}`,
    );
  const isReleased = (session: string) =>
    until(async () => (await stored(session))?.owner === null, 'the session is released');
  const publish = async (topic: string, payload: unknown) => {
    const publisher = await connect(b, 'publisher');
    assert.equal((await publisher.ask('publish', { topic, payload })).ok, true);
  };
  const withRedis = async <Result>(use: (client: ReturnType<typeof clientOf>) => Promise<Result>) => {
    const client = clientOf();
    await client.connect();
    try {
      return await use(client);
    } finally {
      client.destroy();
    }
  };
  const clientOf = () => createClient({ url: redis.url });

  before(async () => {
    redis = await TestRedis.start();
    a = await start({ REPLICA_ID: 'a' });
    b = await start({ REPLICA_ID: 'b' });
  });
  afterEach(() => {
    for (const { socket } of clients.splice(0)) socket.disconnect();
  });
  after(async () => {
    for (const replica of replicas) await replica.end('SIGKILL');
    await redis.stop();
  });

  it('have what was answered last, or say that it is not all, when the replica is killed right after the answer', async () => {
    const c = await start({ REPLICA_ID: 'c' });
    const [joining, leaving] = [await connect(c, 'joe'), await connect(c, 'lea')];
    const sessionOf = (client: Client) => client.status.session_id;
    await leaving.ask('subscribe', { topics: ['left', 'kept'] });
    await hasTopics(sessionOf(leaving), 'kept', 'left');
    await Promise.all([
      joining.ask('subscribe', { topics: ['joined'] }),
      leaving.ask('unsubscribe', { topics: ['left'] }),
    ]);
    await c.end('SIGKILL');
    const [joined, left] = await Promise.all([
      connect(b, 'joe', sessionOf(joining)),
      connect(b, 'lea', sessionOf(leaving)),
    ]);
    assert.deepEqual([joined.status.session_id, joined.topics], [sessionOf(joining), ['joined']]);
    assert.deepEqual([left.status.recovered, left.topics], [true, ['kept']]);
  });

  it('have the topics that came with positions or were ended by an operator, when the replica is killed right after', async () => {
    const c = await start({ REPLICA_ID: 'c2' });
    const [first, kicked] = [await connect(c, 'pam'), await connect(c, 'oli')];
    const sessionOf = (client: Client) => client.status.session_id;
    await Promise.all([
      first.ask('subscribe', { topics: ['kept'] }),
      kicked.ask('subscribe', { topics: ['left', 'kept'] }),
    ]);
    first.cut();
    await isReleased(sessionOf(first));
    const positions = { given: { epoch: 'e', sequence: 1 } };
    const path = `/connections/${kicked.status.connection_id}/unsubscribe`;
    const [again, ended] = await Promise.all([
      Client.connect(c.url, 'pam', { session_id: sessionOf(first), positions }),
      call(b, 'POST', path, { topics: ['left'] }),
    ]);
    await c.end('SIGKILL');
    clients.push(again);
    assert.deepEqual([sessionOf(again), again.topics], [sessionOf(first), ['given', 'kept']]);
    assert.equal(ended.status, 200);
    const back = await connect(b, 'pam', sessionOf(first));
    assert.deepEqual([sessionOf(back), back.topics], [sessionOf(first), ['given', 'kept']]);
    const other = await connect(b, 'oli', sessionOf(kicked));
    assert.deepEqual([sessionOf(other), other.topics], [sessionOf(kicked), ['kept']]);
  });

  it('keep what the client did last, when its former connection is found dead afterwards', async () => {
    const cable = await TcpProxy.start(a.port);
    try {
      const first = await connect(cable.url.replace('redis', 'http'), 'ann');
      const { session_id: session } = first.status;
      await first.ask('subscribe', { topics: ['one'] });
      cable.hold('commands');
      const second = await connect(b, 'ann', session);
      assert.deepEqual([second.status.session_id, second.status.recovered], [session, true]);
      assert.deepEqual(second.topics, ['one'], 'also what was not stored yet');
      await second.ask('subscribe', { topics: ['two'] });
      await second.ask('unsubscribe', { topics: ['one'] });
      await until(
        async () => (await a.json<{ connections: number }>('/health')).connections === 0,
        'the former connection is found dead',
      );
      second.cut();
      await isReleased(session);
      await publish('two', 1);
      const third = await connect(a, 'ann', session);
      assert.deepEqual([third.topics, third.status.recovered], [['two'], true]);
    } finally {
      await cable.stop();
    }
  });

  it('are two for two clients that are connected with one id, and neither loses a message', async () => {
    const first = await connect(a, 'ann');
    const { session_id: session } = first.status;
    await first.ask('subscribe', { topics: ['tabs'] });
    await hasTopics(session, 'tabs');
    for (const replica of [a, b]) {
      const copy = await connect(replica, 'ann', session);
      assert.notEqual(copy.status.session_id, session);
      assert.deepEqual([copy.topics, copy.status.recovered], [['tabs'], false]);
    }
    const second = clients.at(-1)!;
    await hasTopics(second.status.session_id, 'tabs');
    first.cut();
    second.cut();
    await isReleased(session);
    await isReleased(second.status.session_id);
    await publish('tabs', 'for both');
    for (const id of [session, second.status.session_id]) {
      const again = await connect(a, 'ann', id);
      assert.deepEqual([again.status.session_id, again.status.recovered], [id, true]);
      await until(() => again.payloads('tabs').includes('for both'), 'the message arrives');
    }
  });

  it('follow later when Redis does not answer while the client connects', async () => {
    const first = await connect(a, 'ann');
    const { session_id: session } = first.status;
    await first.ask('subscribe', { topics: ['kept', 'given.up'] });
    await hasTopics(session, 'given.up', 'kept');
    first.cut();
    await isReleased(session);
    await publish('kept', 1);
    await redis.signal('SIGSTOP');
    let second: Client;
    try {
      second = await connect(b, 'ann', session);
    } finally {
      await redis.signal('SIGCONT');
    }
    assert.deepEqual(
      [second.status.session_id, second.status.recovered, second.topics],
      [session, false, []],
    );
    await until(() => second.payloads('kept').length > 0, 'the topics are restored');
    assert.deepEqual(second.payloads('kept'), [1]);
    second.cut();
    await isReleased(session);
    const third = await connect(a, 'ann', session);
    assert.deepEqual([third.topics, third.status.recovered], [['given.up', 'kept'], true]);
  });

  it('are not resumed as they were before a client changed them that could not have its session yet', async () => {
    const first = await connect(a, 'fay');
    const { session_id: session } = first.status;
    await first.ask('subscribe', { topics: ['given.up', 'kept'] });
    await hasTopics(session, 'given.up', 'kept');
    first.cut();
    await isReleased(session);
    await redis.signal('SIGSTOP');
    let second: Client;
    try {
      second = await connect(b, 'fay', session);
      assert.equal((await second.ask('unsubscribe', { topics: ['given.up'] })).ok, true);
      second.cut();
      await until(() => !second.socket.connected, 'it has left');
    } finally {
      await redis.signal('SIGCONT');
    }
    assert.notEqual(second.sessionId, session, 'it has been told of an id of its own');
    const third = await connect(a, 'fay', second.sessionId);
    assert.ok(!third.topics.includes('given.up'), 'its own change stays');
  });

  it('of version 0.1 are resumed, and go on under the key prefix', async () => {
    const { epoch, sequence } = await (await connect(a, 'bob')).ask('publish', { topic: 'old', payload: 0 });
    await publish('old', 1);
    const id = 'a session of version 0.1';
    const former = { id, user_id: 'ann', topics: { old: { epoch, sequence } }, created_at: 1, updated_at: 2 };
    await withRedis((client) => client.set(`session:${id}`, JSON.stringify(former)));
    assert.deepEqual(Object.keys((await stored(id))!.topics), ['old']);
    const stranger = await connect(b, 'bob', id);
    assert.deepEqual([stranger.status.recovered, stranger.topics], [false, []]);
    const client = await connect(b, 'ann', id);
    assert.deepEqual([client.status.session_id, client.status.recovered, client.topics], [id, true, ['old']]);
    const found = await withRedis(async (command) => [
      await command.exists(`session:${id}`),
      await command.exists(`rtc:session:${id}`),
    ]);
    assert.deepEqual(found, [0, 1]);
  });

  it('work for a user of Redis that may use the keys under the prefix alone', async () => {
    await withRedis((client) =>
      client.sendCommand(['ACL', 'SETUSER', 'limited', 'on', '>pw', '~shop:*', 'allchannels', '+@all']),
    );
    const url = redis.url.replace('redis://', 'redis://limited:pw@');
    const limited = await start({ REDIS_URL: url, RTC_REDIS_KEY_PREFIX: 'shop' });
    const first = await connect(limited, 'ann');
    const { session_id: session } = first.status;
    await first.ask('subscribe', { topics: ['t'] });
    first.cut();
    await until(
      async () => (await limited.json<{ connections: number }>('/health')).connections === 0,
      'it has left',
    );
    const second = await connect(limited, 'ann', session);
    assert.deepEqual([second.status.session_id, second.topics], [session, ['t']]);
    const { body } = await call(limited, 'GET', '/sessions');
    assert.equal((body['sessions'] as unknown[]).length >= 1, true);
    assert.equal((await connect(a, 'ann', session)).status.recovered, false, 'another prefix');
    assert.equal((await call(limited, 'DELETE', '/sessions/none')).status, 404);
  });

  it('live as long as their connection, however short their time to live is', async () => {
    const short = await start({ RTC_SESSIONS_TTL_SECS: '2' });
    const first = await connect(short, 'ann');
    const { session_id: session } = first.status;
    await first.ask('subscribe', { topics: ['short'] });
    await hasTopics(session, 'short');
    const since = Date.now();
    await until(() => Date.now() - since > 5000, 'several times to live have passed', 10_000);
    first.cut();
    await isReleased(session);
    const second = await connect(short, 'ann', session);
    assert.deepEqual([second.status.recovered, second.topics], [true, ['short']]);
  });

  it('are written again when Redis has lost them', async () => {
    const first = await connect(a, 'ann');
    await first.ask('subscribe', { topics: ['flushed'] });
    const { session_id: session } = first.status;
    await hasTopics(session, 'flushed');
    await withRedis((client) => client.flushAll());
    first.cut();
    await hasTopics(session, 'flushed');
  });

  it('are not rewound by a second subscription from a position that the connection has', async () => {
    const client = await connect(a, 'ann');
    const publisher = await connect(b, 'publisher');
    await client.ask('subscribe', { topics: ['again'], since: { again: { epoch: 'x', sequence: 0 } } });
    for (let n = 1; n <= 20; n++) await publisher.ask('publish', { topic: 'again', payload: n });
    await until(() => client.payloads('again').length === 20, 'all arrive');
    for (const at of [0, 7, 19]) {
      const { epoch, sequence } = client.messages[at]!;
      const answer = await client.ask('subscribe', {
        topics: ['again'],
        since: { again: { epoch, sequence } },
      });
      const [{ recovered }] = answer['topics'] as [{ recovered: boolean }];
      assert.equal(recovered, true);
    }
    await publisher.ask('publish', { topic: 'again', payload: 21 });
    await until(() => client.payloads('again').includes(21), 'the next one arrives');
    assert.deepEqual(
      client.payloads('again'),
      Array.from({ length: 21 }, (_, n) => n + 1),
    );
    // What was never sent on this connection is sent.
    const other = await connect(a, 'bob');
    await other.ask('subscribe', { topics: ['again'] });
    const { epoch } = client.messages[0]!;
    await other.ask('subscribe', { topics: ['again'], since: { again: { epoch, sequence: 15 } } });
    await until(() => other.payloads('again').length >= 6, 'the earlier ones arrive');
    assert.deepEqual(other.payloads('again'), [16, 17, 18, 19, 20, 21]);
  });

  describe('direct messages', () => {
    const send = (from: Client, payload: unknown, more: object = {}) =>
      from.ask('direct', { to: 'eve', payload, confirm: 'stored', ...more });

    it('are removed by the acknowledgement of that message alone, however late', async () => {
      const eve = await connect(a, 'eve');
      const sender = await connect(b, 'bob');
      const { sequence } = await send(sender, 'old');
      await until(() => eve.directs.length === 1, 'it arrives');
      await withRedis((client) => client.flushAll());
      const answer = await send(sender, 'new');
      assert.equal(answer.sequence, sequence);
      eve.acks[0]!();
      await until(() => eve.directs.length >= 2, 'the new one arrives');
      eve.cut();
      const again = await connect(b, 'eve');
      await until(() => again.directs.length > 0, 'it waits in the inbox');
      assert.deepEqual(
        again.directs.map(({ payload }) => payload),
        ['new'],
      );
      again.acks[0]!();
    });

    it('that may be lost are announced to their owner, connected or back with the session', async () => {
      const eve = await connect(a, 'eve');
      const sender = await connect(b, 'bob');
      await send(sender, 'unread');
      await until(() => eve.directs.length > 0, 'it arrives');
      await withRedis((client) => client.flushAll());
      await send(sender, 'next');
      await until(() => eve.gaps.length > 0, 'the loss is announced');
      assert.deepEqual([eve.gaps[0]!.topic, eve.gaps[0]!.reason], ['$user/eve', 'log_lost']);
      const { session_id: session } = eve.status;
      eve.cut();
      await isReleased(session);
      const kept = await withRedis((client) => client.get(`rtc:session:${session}`));
      await withRedis(async (client) => {
        await client.flushAll();
        await client.set(`rtc:session:${session}`, kept!);
      });
      const back = await connect(b, 'eve', session);
      await until(() => back.gaps.length > 0, 'the loss is announced');
      assert.equal(back.gaps[0]!.reason, 'log_lost');
      assert.equal(back.gaps.length + eve.gaps.length, 2, 'each once');
    });
  });
});

for (const storage of ['memory', 'redis'] as const) {
  it(`[P4] a repeated key is answered by a full inbox, too, in ${storage}`, async () => {
    const redis = storage === 'redis' ? await TestRedis.start() : undefined;
    const replica = await TestReplica.start({
      ...(redis && { REDIS_URL: redis.url }),
      RTC_DIRECT_INBOX_SIZE: '2',
      RTC_DIRECT_INBOX_SENDER_PERCENT: '100',
    });
    const sender = await Client.connect(replica.url, 'bob');
    try {
      const send = async (key: string) => {
        const request = { to: 'eve', payload: 1, confirm: 'stored', key };
        const { id, sequence, error, duplicate } = await sender.ask('direct', request);
        return { id, sequence, code: error?.code, duplicate };
      };
      await send('a');
      const second = await send('b');
      const [again, third] = await Promise.all([send('b'), send('c')]);
      assert.deepEqual(again, { ...second, duplicate: true });
      assert.equal(third.code, 'busy');
    } finally {
      sender.socket.disconnect();
      await replica.end('SIGKILL');
      await redis?.stop();
    }
  });
}
