import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'socket.io-client';
import WebSocket from 'ws';
import type { Message } from '../../shared/message.js';
import type { Position } from '../../shared/position.js';
import { request as call } from '../support/admin.js';
import { connectClient, emit, JsonClient } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

interface Stored {
  topics: Record<string, Position>;
  updated_at: number;
}

interface Status {
  session_id: string;
  recovered: boolean;
  topics: { topic: string; recovered: boolean }[];
}

type Client = Awaited<ReturnType<typeof connectClient>>;

describe('[SESSION] sessions on two replicas', () => {
  const directory = mkdtempSync(join(tmpdir(), 'rtc-sessions-'));
  const file = join(directory, 'faults');
  /** Topics whose subscription fails from now on, as with an unreachable log. */
  const failing = (...topics: string[]) =>
    writeFileSync(file, topics.map((topic) => `subscribe ${topic}`).join('\n'));
  const sockets: Socket[] = [];
  let redis: TestRedis;
  let a: TestReplica;
  let b: TestReplica;
  let publisher: Client;

  const startReplica = (name: string) =>
    TestReplica.start(
      {
        REDIS_URL: redis.url,
        REPLICA_ID: name,
        FAULTS: file,
        RTC_WEBSOCKET_HEARTBEAT_INTERVAL_SECS: '1',
        RTC_WEBSOCKET_CLIENT_TIMEOUT_SECS: '20',
        RTC_ACTOR_SYSTEM_MAX_RESTARTS: '100',
      },
      undefined,
      'hooked',
    );
  const connect = async (replica: TestReplica, user: string, auth: object = {}) => {
    const socket = await connectClient(replica.url, user, { auth });
    sockets.push(socket);
    return socket;
  };
  const statusOf = (socket: Client) => socket.status as unknown as Status;
  /** Resumes a session with a client that records everything from the first packet on. */
  const resume = async (replica: TestReplica, user: string, session: string, positions?: object) => {
    const client = new ResumedClient(replica.url, user, session, positions);
    await until(() => client.status !== undefined, 'the session is resumed');
    return client;
  };
  const publish = async (topic: string, ...payloads: unknown[]) => {
    for (const payload of payloads)
      assert.equal((await emit(publisher, 'publish', { topic, payload })).ok, true);
  };
  const storedOf = async (session: string) => {
    const { status, body } = await call(a, 'GET', `/sessions/${session}`);
    return status === 200 ? (body as unknown as Stored) : undefined;
  };
  const isStored = (session: string, topics: number) =>
    until(
      async () => Object.keys((await storedOf(session))?.topics ?? {}).length === topics,
      `${topics} topics are stored`,
    );
  const alone = (replica: TestReplica, count = 0) =>
    until(
      async () => (await replica.json<{ connections: number }>('/health')).connections === count,
      'the others are gone',
    );
  /** A session with these topics, whose client has disconnected. */
  const sessionOf = async (user: string, topics: readonly string[]) => {
    const socket = await connect(a, user);
    for (let i = 0; i < topics.length; i += 100)
      await emit(socket, 'subscribe', { topics: topics.slice(i, i + 100) });
    const { session_id: session } = statusOf(socket);
    await isStored(session, topics.length);
    socket.io.engine.close();
    await alone(a, 1);
    return session;
  };

  before(async () => {
    failing();
    redis = await TestRedis.start();
    a = await startReplica('a');
    b = await startReplica('b');
    publisher = await connect(a, 'publisher');
    sockets.pop();
  });
  beforeEach(() => failing());
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.disconnect();
    ResumedClient.closeAll();
  });
  after(async () => {
    publisher.disconnect();
    await a.end('SIGKILL');
    await b.end('SIGKILL');
    await redis.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  describe('whose connection closes before its topics are restored', () => {
    it('keep all topics when the connection closes at once', async () => {
      const topics = Array.from({ length: 300 }, (_, i) => `cut.${i}`);
      const session = await sessionOf('ann', topics);
      const before = (await storedOf(session))!;
      for (let n = 0; n < 3; n++) {
        const { updated_at: last } = (await storedOf(session))!;
        const client = new ResumedClient(b.url, 'ann', session);
        await client.connected;
        client.terminate();
        await until(async () => (await storedOf(session))!.updated_at > last, 'the close is stored');
        assert.deepEqual((await storedOf(session))!.topics, before.topics);
      }
      const { status } = await resume(a, 'ann', session);
      assert.deepEqual([status!.recovered, status!.topics.length], [true, topics.length]);
    });

    it('keep all topics when Redis stalls meanwhile', async () => {
      const topics = Array.from({ length: 300 }, (_, i) => `stall.${i}`);
      const session = await sessionOf('ann', topics);
      const client = new ResumedClient(b.url, 'ann', session);
      await client.connected;
      await redis.signal('SIGSTOP');
      client.terminate();
      await alone(b);
      await redis.signal('SIGCONT');
      await until(async () => {
        const { status } = await b.json<{ status: string }>('/health');
        return status === 'ok';
      }, 'Redis is reachable again');
      const { status } = await resume(b, 'ann', session);
      assert.deepEqual([status!.recovered, status!.topics.length], [true, topics.length]);
    });

    it('keep a topic whose restore is retried, and restore it later', async () => {
      const session = await sessionOf('ann', ['good', 'late']);
      await publish('late', 1, 2);
      failing('late');
      const first = await resume(b, 'ann', session);
      assert.deepEqual(
        [first.status!.recovered, first.status!.topics.map(({ topic }) => topic)],
        [false, ['good']],
      );
      first.terminate();
      await alone(b);
      await isStored(session, 2);
      const second = await resume(b, 'ann', session);
      assert.equal(second.status!.topics.length, 1);
      failing();
      await until(() => second.payloads('late').length === 2, 'it is restored');
      assert.deepEqual(second.payloads('late'), [1, 2]);
    });

    it('keep such a topic when the replica stops meanwhile', async () => {
      const session = await sessionOf('ann', ['stays', 'stopped']);
      await publish('stopped', 1);
      const c = await startReplica('c');
      failing('stopped');
      await resume(c, 'ann', session);
      assert.equal(await c.end('SIGTERM'), 0);
      failing();
      const { status } = await resume(b, 'ann', session);
      assert.deepEqual([status!.recovered, status!.topics.length], [true, 2]);
    });
  });

  it('let the client unsubscribe from such a topic', async () => {
    const session = await sessionOf('ann', ['given.up', 'waited.for']);
    failing('given.up', 'waited.for');
    const client = await resume(b, 'ann', session);
    const answer = await client.ask('unsubscribe', { topics: ['given.up'] });
    assert.deepEqual(answer['topics'], ['given.up']);
    await isStored(session, 1);
    failing();
    await until(() => client.subscribed.length > 0, 'the other one arrives');
    await publish('given.up', 1);
    await publish('waited.for', 1);
    await until(() => client.payloads('waited.for').length === 1, 'its message arrives');
    assert.deepEqual([client.subscribed, client.payloads('given.up')], [['waited.for'], []]);
    assert.deepEqual(Object.keys((await storedOf(session))!.topics), ['waited.for']);
  });

  it('continue at their position when the client itself subscribes to such a topic', async () => {
    const session = await sessionOf('ann', ['own']);
    await publish('own', 1, 2, 3);
    failing('own');
    const client = await resume(b, 'ann', session);
    failing();
    await client.ask('subscribe', { topics: ['own'] });
    await publish('own', 4);
    await until(() => client.payloads('own').length >= 4, 'all arrive');
    assert.deepEqual(client.payloads('own').slice(0, 3), [1, 2, 3]);
  });

  describe('without positions of the client', () => {
    const dead: [string, (client: ResumedClient) => void][] = [
      ['is cut off', (client) => client.terminate()],
      ['leaves the namespace', (client) => client.webSocket.send('41')],
      ['closes with 1000', (client) => client.webSocket.close(1000)],
      ['closes with 1001', (client) => client.webSocket.close(1001)],
      ['closes without a code', (client) => client.webSocket.close()],
    ];
    dead.forEach(([how, end], i) => {
      it(`send again, in order, what is not confirmed as received, after a client that ${how}`, async () => {
        const topic = `unproved.${i}`;
        const session = await sessionOf('ann', [topic]);
        await publish(topic, 1, 2, 3);
        const first = await resume(b, 'ann', session);
        await until(() => first.payloads(topic).length === 3, 'they are sent');
        end(first);
        await alone(b);
        const second = await resume(a, 'ann', session);
        await until(() => second.payloads(topic).length >= 3, 'they arrive again');
        assert.deepEqual([second.status!.recovered, second.payloads(topic)], [true, [1, 2, 3]]);
      });
    });

    it('do not send again what the client has confirmed as received', async () => {
      const session = await sessionOf('ann', ['proved']);
      await publish('proved', 1, 2, 3);
      const first = new ResumedClient(b.url, 'ann', session);
      first.answersPings = true;
      await until(() => first.payloads('proved').length === 3, 'they arrive');
      const before = first.pings;
      await until(() => first.pings >= before + 3, 'two heartbeats are answered after them');
      first.terminate();
      await alone(b);
      await publish('proved', 4);
      const second = await resume(a, 'ann', session);
      await until(() => second.payloads('proved').length >= 1, 'the next one arrives');
      assert.deepEqual(second.payloads('proved'), [4]);
    });

    it('do not send again what the client reports as received', async () => {
      const session = await sessionOf('ann', ['named']);
      await publish('named', 1, 2, 3);
      const first = await resume(b, 'ann', session);
      await until(() => first.messages.length === 3, 'they arrive');
      const { epoch, sequence } = first.messages[1]!;
      first.terminate();
      await alone(b);
      const second = await resume(a, 'ann', session, { named: { epoch, sequence } });
      await until(() => second.payloads('named').length >= 1, 'the rest arrives');
      second.terminate();
      await alone(a, 1);
      const third = await resume(b, 'ann', session);
      await until(() => third.payloads('named').length >= 1, 'the rest arrives again');
      assert.deepEqual([second.payloads('named'), third.payloads('named')], [[3], [3]]);
    });

    it('announce a gap again to a client that may not have received the first announcement', async () => {
      const session = await sessionOf('ann', ['lost']);
      await publish('lost', 1);
      const first = await resume(b, 'ann', session, { lost: { epoch: 'gone', sequence: 5 } });
      assert.equal(first.status!.recovered, false);
      first.terminate();
      await alone(b);
      assert.equal((await resume(a, 'ann', session)).status!.recovered, false);
    });

    it('on /ws, send again what was confirmed only by unsolicited pongs', async () => {
      const open = async (query = '') => {
        const client = new JsonClient(b.webSocketUrl, 'ann', query);
        await until(() => client.of('Status').length > 0, 'the client is connected');
        return client;
      };
      const first = await open();
      // It does not answer pings of the service either.
      (first.webSocket as unknown as { _autoPong: boolean })._autoPong = false;
      const { session_id: session } = first.of('Status')[0]!.data['details'] as Status;
      first.send({ type: 'Subscribe', id: 1, data: { topics: ['pongs'] } });
      await until(() => first.frames.some(({ id }) => id === 1), 'it is subscribed');
      await publish('pongs', 1, 2, 3);
      await until(() => first.received.messages.length === 3, 'they arrive');
      for (let n = 0; n < 5; n++) first.webSocket.pong();
      first.send({ type: 'Ping', id: 2 });
      await until(() => first.frames.some(({ id }) => id === 2), 'the pongs are read');
      first.webSocket.close(1001);
      await alone(b);
      const second = await open(`&session_id=${session}`);
      await until(() => second.received.messages.length >= 3, 'they arrive again');
      assert.deepEqual(second.received.sequences, [1, 2, 3]);
      second.close();
    });
  });

  it('start anew for positions that the client sends as null', async () => {
    const socket = await connect(a, 'ann', { session_id: null, positions: null });
    assert.deepEqual([statusOf(socket).recovered, statusOf(socket).topics], [undefined, []]);
    await emit(socket, 'subscribe', { topics: ['null'] });
    await publish('null', 1);
    const history = await emit(socket, 'history', { topic: 'null' });
    const [{ id }] = history['messages'] as [Message];
    const answer = await emit(socket, 'missed', { since: id, session_id: null });
    assert.deepEqual([answer.ok, answer['complete']], [true, true]);
  });
});

/** A Socket.IO client on a bare WebSocket, which can close in any way and records each packet. */
class ResumedClient {
  private static readonly open = new Set<ResumedClient>();
  readonly messages: Message[] = [];
  /** Topics that were restored later than the others. */
  readonly subscribed: string[] = [];
  status: Status | undefined;
  /** Whether it answers pings, and so confirms what it has received. */
  answersPings = false;
  /** Number of answered pings. */
  pings = 0;
  /** Resolves when the client is connected. */
  readonly connected: Promise<void>;
  readonly webSocket: WebSocket;
  private readonly answers = new Map<number, (answer: Record<string, unknown>) => void>();

  constructor(url: string, user: string, session: string, positions?: object) {
    this.webSocket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    this.webSocket.on('error', () => {});
    ResumedClient.open.add(this);
    this.connected = new Promise((resolve) => {
      this.webSocket.on('message', (data: Buffer) => {
        const packet = data.toString();
        if (packet.startsWith('0{')) {
          const auth = { token: tokenOf(user), session_id: session, ...(positions && { positions }) };
          this.webSocket.send(`40${JSON.stringify(auth)}`);
        } else if (packet.startsWith('40{')) resolve();
        else if (packet === '2' && this.answersPings) {
          this.pings++;
          this.webSocket.send('3');
        } else if (packet.startsWith('42[')) this.onEvent(JSON.parse(packet.slice(2)) as [string, unknown]);
        else if (packet.startsWith('43')) {
          const [, id, answer] = /^43(\d+)\[(.*)\]$/s.exec(packet)!;
          this.answers.get(Number(id))?.(JSON.parse(answer!) as Record<string, unknown>);
        }
      });
    });
  }

  static closeAll(): void {
    for (const client of this.open) client.terminate();
    this.open.clear();
  }

  payloads(topic: string): unknown[] {
    return this.messages.filter((message) => message.topic === topic).map(({ payload }) => payload);
  }

  ask(command: string, request: object): Promise<Record<string, unknown>> {
    const id = this.answers.size;
    const answer = new Promise<Record<string, unknown>>((resolve) => this.answers.set(id, resolve));
    this.webSocket.send(`42${id}${JSON.stringify([command, request])}`);
    return answer;
  }

  terminate(): void {
    this.webSocket.terminate();
  }

  private onEvent([event, data]: [string, unknown]): void {
    if (event === 'message') this.messages.push(data as Message);
    if (event !== 'status') return;
    const { status, details } = data as { status: string; details: Status & { topics: unknown[] } };
    if (status === 'connected') this.status = details;
    else if (status === 'subscribed') this.subscribed.push(...(details.topics as unknown as string[]));
  }
}
