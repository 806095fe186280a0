import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Socket as ServerSocket } from 'socket.io';
import type { Service } from '../../server/index.js';
import { connectClient, emit, JsonClient } from '../support/clients.js';
import { startEmbedded } from '../support/embedded-service.js';
import { PacketClient } from '../support/packet-client.js';
import { TestRedis } from '../support/redis.js';
import { until } from '../support/wait.js';

type Started = Awaited<ReturnType<typeof startEmbedded>>;

/** A connected `/ws` client that records how it was closed. */
class JoinedClient extends JsonClient {
  closed: { readonly code: number; readonly reason: string } | undefined;

  static async open(url: string, userId: string): Promise<JoinedClient> {
    const client = new JoinedClient(url, userId);
    client.webSocket.on('close', (code, reason) => (client.closed = { code, reason: reason.toString() }));
    await until(() => client.of('Status').length > 0, `${userId} has joined`);
    return client;
  }

  get connectionId(): string {
    const { details } = this.of('Status')[0]!.data as { details: { connection_id: string } };
    return details.connection_id;
  }

  async subscribe(topic: string, presence = false): Promise<void> {
    this.send({ type: 'Subscribe', id: topic, data: { topics: [topic], presence } });
    await until(() => this.frames.some((frame) => frame.id === topic), `${topic} is subscribed`);
  }
}

describe('[WIRE] a broadcast of Socket.IO to a /ws client', () => {
  let redis: TestRedis;
  let a: Started;
  let b: Started;
  let client: JoinedClient;
  let socket: ServerSocket;

  before(async () => {
    redis = await TestRedis.start();
    a = await startEmbedded({ REDIS_URL: redis.url, REPLICA_ID: 'a' });
    b = await startEmbedded({ REDIS_URL: redis.url, REPLICA_ID: 'b' });
    client = await JoinedClient.open(a.webSocketUrl, 'ann');
    socket = a.service.io.sockets.sockets.get(client.connectionId)!;
    await socket.join('room');
  });
  after(async () => {
    client.close();
    await a.service.close();
    await b.service.close();
    await redis.stop();
  });

  const cases: [string, (event: string) => void, unknown[]][] = [
    ['io.emit', (event) => a.service.io.emit(event, { n: 1 }), [{ n: 1 }]],
    ['io.to(room).emit', (event) => a.service.io.to('room').emit(event, 'x'), ['x']],
    ['io.local.emit', (event) => a.service.io.local.emit(event), []],
    ['io.volatile.emit', (event) => a.service.io.volatile.emit(event, 1), [1]],
    ['io.compress(true).emit', (event) => a.service.io.compress(true).emit(event, 1), [1]],
    ['io.emit of another replica', (event) => b.service.io.emit(event, { n: 2 }), [{ n: 2 }]],
    ['io.to(room).emit of another replica', (event) => b.service.io.to('room').emit(event, 3), [3]],
    ['io.emit with an acknowledgement', (event) => a.service.io.timeout(50).emit(event, 4, () => {}), [4]],
    [
      'io.emit with an acknowledgement, of another replica',
      (event) => b.service.io.timeout(50).emit(event, 5, () => {}),
      [5],
    ],
    ['socket.emit', (event) => socket.emit(event, 6), [6]],
    [
      'io.emit with binary parts',
      (event) => a.service.io.emit(event, [Buffer.from([1, 2])], { deep: new Uint8Array([3]) }),
      [[{ $base64: 'AQI=' }], { deep: { $base64: 'Aw==' } }],
    ],
    [
      'io.emit with binary parts, of another replica',
      (event) => b.service.io.emit(event, Buffer.from([1, 2])),
      [{ $base64: 'AQI=' }],
    ],
  ];
  for (const [title, send, args] of cases) {
    it(`arrives as an Event frame: ${title}`, async () => {
      const event = `made by ${title}`;
      const frames = () => client.of('Event').filter((frame) => frame.data['event'] === event);
      send(event);
      await until(() => frames().length > 0, 'the frame arrives');
      assert.deepEqual(
        frames().map((frame) => frame.data['args']),
        [args],
      );
    });
  }

  it('arrives as an Event frame: socket.broadcast.emit', async () => {
    const other = await connectClient(a.url, 'bob');
    a.service.io.sockets.sockets.get(other.id!)!.broadcast.emit('from bob', 1);
    await until(() => client.of('Event').some((frame) => frame.data['event'] === 'from bob'), 'it arrives');
    other.disconnect();
  });

  it('arrives at Socket.IO clients unchanged at the same time', async () => {
    const other = await connectClient(a.url, 'bob');
    const got: unknown[] = [];
    other.on('both', (...args: unknown[]) => got.push(args));
    a.service.io.emit('both', 'text');
    a.service.io.emit('both', Buffer.from([7]));
    await until(() => got.length === 2, 'both events arrive');
    assert.deepEqual(got, [['text'], [Buffer.from([7])]]);
    other.disconnect();
  });

  it('arrives as a frame of its own type if it is an event of the service', async () => {
    await client.subscribe('watched', true);
    const bob = await connectClient(b.url, 'bob');
    await emit(bob, 'subscribe', { topics: ['watched'] });
    const seen = () => client.of('Presence').map((frame) => [frame.data['event'], frame.data['user_id']]);
    await until(() => seen().length === 2, 'the join is announced');
    bob.disconnect();
    await until(() => seen().length === 3, 'the leave is announced');
    assert.deepEqual(seen(), [
      ['join', 'ann'],
      ['join', 'bob'],
      ['leave', 'bob'],
    ]);
    a.service.io.emit('system_notification', { text: 'soon' });
    await until(() => client.of('SystemNotification').length === 1, 'the notification arrives');
    assert.deepEqual(client.of('SystemNotification')[0]!.data, { text: 'soon' });
  });
});

describe('[WIRE] a /ws client that is disconnected', () => {
  let started: Started;
  let client: JoinedClient;
  let reader: JoinedClient;
  const ways: [string, (service: Service, id: string) => void][] = [
    ['by io.in(id).disconnectSockets()', (service, id) => service.io.in(id).disconnectSockets()],
    ['by io.in(id).disconnectSockets(true)', (service, id) => service.io.in(id).disconnectSockets(true)],
    ['by socket.disconnect()', (service, id) => service.io.sockets.sockets.get(id)!.disconnect()],
    ['by socket.disconnect(true)', (service, id) => service.io.sockets.sockets.get(id)!.disconnect(true)],
  ];

  beforeEach(async () => {
    started = await startEmbedded();
    client = await JoinedClient.open(started.webSocketUrl, 'eve');
    reader = await JoinedClient.open(started.webSocketUrl, 'reader');
    await reader.subscribe('t');
  });
  afterEach(async () => {
    client.close();
    reader.close();
    await started.service.close();
  });

  for (const [title, disconnect] of ways) {
    it(`${title} is closed, and commands that it sends are not run`, async () => {
      disconnect(started.service, client.connectionId);
      // In flight before the client receives the close.
      client.send({ type: 'Broadcast', id: 1, data: { topic: 't', payload: 'late' } });
      await until(() => client.closed !== undefined, 'it is closed');
      assert.deepEqual(client.closed, { code: 1000, reason: 'disconnected by the service' });
      assert.equal(client.of('Ack').length, 0);
      reader.send({ type: 'Broadcast', id: 2, data: { topic: 't', payload: 'next' } });
      await until(() => reader.received.messages.length > 0, 'the next message arrives');
      assert.deepEqual(
        reader.received.messages.map((message) => message.payload),
        ['next'],
      );
    });
  }

  it('is terminated when it does not answer the close frame', async () => {
    const { http, io } = started.service;
    const connections = () => new Promise((resolve) => http.getConnections((_, count) => resolve(count)));
    client.webSocket.pause();
    io.in(client.connectionId).disconnectSockets();
    await until(
      async () => (await connections()) === 1,
      'only the TCP connection of the reader is left',
      5000,
    );
  });

  it('gets earlier messages and then the close frame', async () => {
    const socket = started.service.io.sockets.sockets.get(client.connectionId)!;
    for (let n = 0; n < 20; n++) socket.emit('n', n);
    socket.disconnect(true);
    await until(() => client.closed !== undefined, 'it is closed');
    assert.equal(client.of('Event').length, 20);
  });

  it('gets the reason when a middleware of the embedding program refuses it', async () => {
    started.service.io.use((_socket, next) => next(new Error('not today')));
    const refused = new JsonClient(started.webSocketUrl, 'bob');
    let code: number | undefined;
    refused.webSocket.on('close', (given) => (code = given));
    await until(() => code !== undefined, 'it is closed');
    assert.equal(code, 1008);
    assert.equal(refused.of('Error')[0]!.data['message'], 'not today');
  });
});

describe('[P8] a replica that stops', () => {
  it('closes WebSockets of both kinds with 1012, and is closed soon', async () => {
    const { service, url, webSocketUrl } = await startEmbedded();
    const json = await JoinedClient.open(webSocketUrl, 'ann');
    const packets = await PacketClient.open(url);
    await packets.join('bob');
    const notJoined = await PacketClient.open(url);
    const polling = await connectClient(url, 'carol', { transports: ['polling'] });
    let pollingEnd: string | undefined;
    polling.on('disconnect', (reason) => (pollingEnd = reason));
    await service.close();
    await until(() => json.closed !== undefined && packets.closeCode !== undefined, 'both are closed');
    await until(() => notJoined.closeCode !== undefined && pollingEnd !== undefined, 'the others are closed');
    assert.deepEqual(json.closed, { code: 1012, reason: 'the replica is shutting down' });
    assert.deepEqual([packets.closeCode, notJoined.closeCode], [1012, 1012]);
    // Unmodified clients reconnect after these reasons, but not after `io server disconnect`.
    assert.match(pollingEnd!, /^transport (close|error)$/);
    assert.equal(packets.of('41').length, 0);
  });

  it('does not wait for clients that do not answer the close frame', async () => {
    const { service, url, webSocketUrl } = await startEmbedded();
    const json = await JoinedClient.open(webSocketUrl, 'ann');
    json.webSocket.pause();
    const packets = await PacketClient.open(url);
    await packets.join('bob');
    packets.stall();
    const startedAt = performance.now();
    await service.close();
    assert.ok(performance.now() - startedAt < 5000, 'closed within 5 s');
    json.webSocket.terminate();
    packets.close();
  });

  it('closes a /ws client that has not joined yet, too', async () => {
    const { service, webSocketUrl } = await startEmbedded();
    let waiting = false;
    service.io.use(() => (waiting = true));
    const client = new JsonClient(webSocketUrl, 'ann');
    let code: number | undefined;
    client.webSocket.on('close', (given) => (code = given));
    await until(() => waiting, 'a middleware of the embedding program holds it');
    await service.close();
    await until(() => code !== undefined, 'it is closed');
    assert.equal(code, 1012);
  });

  it('does not wait for a request that never ends', async () => {
    const { service, url } = await startEmbedded();
    const tcp = connect(Number(new URL(url).port), '127.0.0.1', () => tcp.write('GET / HTTP/1.1\r\n'));
    tcp.on('error', () => {});
    await new Promise((resolve) => service.http.once('connection', resolve));
    const startedAt = performance.now();
    await service.close();
    assert.ok(performance.now() - startedAt < 5000, 'closed within 5 s');
    tcp.destroy();
  });

  it('answers commands until the close frame is sent', async () => {
    const redis = await TestRedis.start();
    const { service, webSocketUrl } = await startEmbedded({
      REDIS_URL: redis.url,
      RTC_SERVER_SHUTDOWN_TIMEOUT_MS: '4000',
    });
    const client = await JoinedClient.open(webSocketUrl, 'ann');
    await client.subscribe('t');
    // A publish in progress: the replica waits for it.
    await redis.signal('SIGSTOP');
    client.send({ type: 'Broadcast', id: 'first', data: { topic: 't', payload: 1 } });
    client.send({ type: 'Ping', id: 'before' });
    await until(() => client.frames.some((frame) => frame.id === 'before'), 'the ping is answered');
    const closing = service.close();
    client.send({ type: 'Ping', id: 'while' });
    await until(() => client.frames.some((frame) => frame.id === 'while'), 'the ping is answered');
    const answer = client.frames.find((frame) => frame.id === 'while')!;
    assert.deepEqual([answer.type, answer.data['code']], ['Error', 'shutting_down']);
    assert.equal(client.closed, undefined);
    await redis.signal('SIGCONT');
    await closing;
    await until(() => client.closed !== undefined, 'it is closed');
    assert.equal(client.closed!.code, 1012);
    assert.equal(client.frames.find((frame) => frame.id === 'first')?.type, 'Ack');
    await redis.stop();
  });
});
