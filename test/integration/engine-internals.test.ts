/**
 * The canary of `server/gateway/engine-internals`: it fails when an upgrade of engine.io, socket.io, ws or Node takes away something that this
 * service touches inside them, and when a way past them is not taken any more.
 *
 * Tried by hand, one by one, and seen to fail here:
 *   - a private name renamed in our code: `_socket`, `_sender`, `writeBuffer`, `fns`, `ondata`, `acks`, `_ids`, `_query`, `clients`, `res`,
 *     `_handle`, `sockets`, `nsps`, `_peername`, `cleanupFn`, `_events`, and the marks of the two listeners that slimming removes
 *   - a method missing that a library calls: `SmallTable.values`, `SmallTable.clear`, `LazyAckTable.delete`
 *   - fast publishing switched off: `takePublish` returns false
 *   - direct writes switched off: `writeFrames` does not try `writeDirectly`
 *   - slim connections switched off: `makeSlim` returns at once
 *   - the `wsEngine` option left out
 *   - reading not stopped in the middle of a chunk: `stop` does not touch `_loop`; bodies of long-polling decoded at once: `onData` left alone
 */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, ServerResponse, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, Socket as TcpSocket, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Socket as ServerSocket } from 'socket.io';
import type { Socket } from 'socket.io-client';
import { WebSocket } from 'ws';
import { upgradeRequest } from '../../bench/attack/raw-client.js';
import { acksOf } from '../../server/gateway/engine-internals/acknowledgements.js';
import {
  engineOf,
  tcpSocketOf,
  type EngineConnection,
} from '../../server/gateway/engine-internals/engine-connection.js';
import { belongsToTransport, responseOf } from '../../server/gateway/engine-internals/engine-server.js';
import { LazyAckTable } from '../../server/gateway/engine-internals/lazy-ack-table.js';
import { startReading, stopReading } from '../../server/gateway/engine-internals/reading.js';
import { awaitsPong, pingNow } from '../../server/gateway/engine-internals/heartbeats.js';
import { SmallTable } from '../../server/gateway/engine-internals/small-table.js';
import {
  CodedWebSocket,
  CodedWebSocketServer,
} from '../../server/gateway/engine-internals/web-socket-server.js';
import type { InboundBudget } from '../../server/gateway/inbound/inbound-budget.js';
import { inboundOf } from '../../server/gateway/inbound/inbound-of.js';
import { pauses } from '../../server/gateway/inbound/pauses.js';
import { firstSharedAckId } from '../../server/protocol/ack-ids.js';
import { connectClient, emit, JsonClient } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { root } from '../support/root.js';
import { until } from '../support/wait.js';

type Fields = Record<string, unknown>;

/** The kinds of values that private names have. */
const kinds = {
  function: (value: unknown) => typeof value === 'function',
  array: Array.isArray,
  map: (value: unknown) => value instanceof Map,
  set: (value: unknown) => value instanceof Set,
  number: (value: unknown) => typeof value === 'number',
  boolean: (value: unknown) => typeof value === 'boolean',
  text: (value: unknown) => typeof value === 'string',
  object: (value: unknown) => typeof value === 'object' && value !== null,
};

/** Whether a stopped transport of long-polling holds a body. */
function hasBody(budget: InboundBudget): boolean {
  const { reader } = budget as unknown as { readonly reader: { readonly body: string | undefined } };
  return reader.body !== undefined;
}

describe('[CANARY] the internals of engine.io, socket.io, ws and Node', function () {
  let plain: EmbeddedService;
  let slim: EmbeddedService;
  let polling: Socket;
  let webSocket: Socket;
  let json: JsonClient;

  before(async () => {
    plain = await startEmbedded();
    slim = await startEmbedded({}, { slimConnections: true });
    polling = await connectClient(slim.url, 'polling', { transports: ['polling'] });
    webSocket = await connectClient(slim.url, 'websocket');
    json = new JsonClient(slim.webSocketUrl, 'json');
    await until(() => json.of('Status').length === 1, 'the /ws client is connected');
  });
  after(async () => {
    for (const client of [polling, webSocket, json]) client.close();
    await plain.service.close();
    await slim.service.close();
  });

  const counts = () => slim.service.metrics.document().optimizations;
  const socketOf = ({ service }: EmbeddedService, id: string): ServerSocket =>
    service.io.of('/').sockets.get(id)!;
  /** The server's side of the `/ws` client. */
  const jsonSocket = () =>
    [...slim.service.io.of('/').sockets.values()].find(({ id }) => id !== polling.id && id !== webSocket.id)!;

  it('have every private name, of the kind that is expected', async () => {
    const client = await connectClient(plain.url, 'ann');
    const socket = socketOf(plain, client.id!) as unknown as Fields & { conn: Fields; client: Fields };
    const transport = socket.conn['transport'] as Fields;
    const its = transport['socket'] as Fields;
    const tcp = its['_socket'] as Fields;
    const { io } = plain.service;
    const expected: [string, object, Readonly<Record<string, keyof typeof kinds>>][] = [
      ['Socket of socket.io', socket, { acks: 'map', fns: 'array', _anyListeners: 'array' }],
      [
        'Client of socket.io',
        socket.client,
        { sockets: 'map', nsps: 'map', ondata: 'function', _packet: 'function', decoder: 'object' },
      ],
      ['decoder of Socket.IO', socket.client['decoder'] as object, { _callbacks: 'object' }],
      ['Namespace of socket.io', io.of('/'), { _ids: 'number', _fns: 'array' }],
      ['Server of socket.io', io, { _nsps: 'map', parentNsps: 'map', _checkNamespace: 'function' }],
      [
        'parent namespace of socket.io',
        io.of(/^\/canary-\d$/),
        {
          createChild: 'function',
          children: 'set',
          _add: 'function',
          _remove: 'function',
          _preConnectSockets: 'map',
        },
      ],
      [
        'Socket of engine.io',
        socket.conn,
        { writeBuffer: 'array', cleanupFn: 'array', sentCallbackFn: 'array' },
      ],
      ['Transport of engine.io', transport, { writable: 'boolean', name: 'text', socket: 'object' }],
      ['Server of engine.io', io.engine as unknown as object, { clients: 'object' }],
      ['WebSocket of ws', its, { _socket: 'object', _sender: 'object', _receiver: 'object' }],
      [
        'Receiver of ws',
        its['_receiver'] as object,
        {
          _loop: 'boolean',
          _maxPayload: 'number',
          _maxBufferedChunks: 'number',
          _bufferedBytes: 'number',
          _buffers: 'array',
          _fragments: 'array',
          _payloadLength: 'number',
          _totalPayloadLength: 'number',
          _numFragments: 'number',
          _write: 'function',
          _fin: 'boolean',
          getData: 'function',
          dataMessage: 'function',
        },
      ],
      ['Sender of ws', its['_sender'] as object, { sendFrame: 'function' }],
      ['Socket of Node', tcp, { _handle: 'object', _events: 'object', writableLength: 'number' }],
      [
        'handle of Node',
        tcp['_handle'] as object,
        { reading: 'boolean', readStop: 'function', readStart: 'function', getpeername: 'function' },
      ],
      [
        'listening handle of Node',
        (plain.service.http as unknown as Fields)['_handle'] as object,
        { onconnection: 'function' },
      ],
    ];
    const readme = readFileSync(join(root, 'server/gateway/engine-internals/README.md'), 'utf8');
    for (const [what, object, names] of expected) {
      for (const [name, kind] of Object.entries(names)) {
        const value = (object as Fields)[name];
        assert.ok(kinds[kind](value), `${name} of the ${what} is a ${kind}, not ${String(value)}`);
        assert.ok(readme.includes(name), `the README says of ${name} why it is touched`);
      }
    }
    client.close();
  });

  it('call every listener of a slim connection, also after one that removes itself', async () => {
    const { service, url, webSocketUrl } = await startEmbedded({}, { slimConnections: true });
    let closed = 0;
    // After Socket.IO's listener, which removes itself.
    service.io.engine.on('connection', (connection: EventEmitter) => connection.on('close', () => closed++));
    const client = await connectClient(url, 'websocket');
    const other = new JsonClient(webSocketUrl, 'json');
    await until(() => other.of('Status').length === 1, 'the /ws client is connected');
    client.close();
    other.close();
    await until(() => closed === 2, 'both connections tell all listeners that they are closed');
    await service.close();
  });

  it('let publishes be read before they are decoded, on WebSocket and on polling', async () => {
    for (const client of [webSocket, polling]) {
      const { fast_publishes: before } = counts();
      for (let n = 0; n < 3; n++)
        assert.ok((await emit(client, 'publish', { topic: 'canary.fast', payload: n })).ok);
      assert.equal(counts().fast_publishes - before, 3);
    }
  });

  it('let frames be written straight to TCP sockets', async () => {
    const got: number[] = [];
    await emit(webSocket, 'subscribe', { topics: ['canary.direct'] });
    webSocket.on('message', ({ payload }: { payload: number }) => got.push(payload));
    json.send({ type: 'Subscribe', data: { topics: ['canary.direct'] }, id: 1 });
    await until(() => json.of('Status').length === 2, 'the /ws client is subscribed');
    const { direct_writes: before } = counts();
    for (let n = 0; n < 5; n++) {
      await emit(polling, 'publish', { topic: 'canary.direct', payload: n });
      await until(() => got.length > n && json.received.messages.length > n, 'both got it');
    }
    // One write for each of the two clients and messages; the answers to the publisher come beside.
    assert.ok(counts().direct_writes - before >= 10, `${counts().direct_writes - before} writes`);
    assert.deepEqual(got, [0, 1, 2, 3, 4]);
  });

  it('let the answer to an upgrade leave in one write with the first packet', async () => {
    const waiting = new Promise<number>((resolve) => {
      slim.service.io.engine.once('connection', (engine: EngineConnection) =>
        resolve(tcpSocketOf(engine)!.writableLength),
      );
    });
    const client = connect(Number(new URL(slim.url).port), '127.0.0.1');
    try {
      client.write(upgradeRequest('/socket.io/?EIO=4&transport=websocket'));
      const [first] = (await once(client, 'data')) as [Buffer];
      assert.match(first.toString(), /^HTTP\/1\.1 101 [^]*\r\n\r\n..0\{"sid"/);
      assert.equal(await waiting, first.length, 'nothing has left before the first packet was written');
    } finally {
      client.destroy();
    }
  });

  it('let WebSocket connections be made slim, and others go on', async () => {
    await until(() => counts().slim_connections === 2, 'two WebSockets are slim');
    for (const socket of [socketOf(slim, webSocket.id!), jsonSocket()]) {
      const { client, conn } = socket as unknown as { client: Fields; conn: Fields };
      const its = (conn['transport'] as Fields)['socket'] as WebSocket & { _socket: TcpSocket & Fields };
      const tcp = its._socket;
      assert.ok(client['sockets'] instanceof SmallTable);
      assert.ok(client['nsps'] instanceof SmallTable);
      assert.ok((acksOf(socket) as unknown) instanceof LazyAckTable);
      assert.deepEqual(Object.keys(socket.handshake.headers), []);
      assert.deepEqual(Object.keys(socket.request.headers), []);
      for (const emitter of [tcp, its, conn, socket]) {
        const events = (emitter as unknown as { _events: object })._events;
        assert.notEqual(Object.getPrototypeOf(events), null, 'its listeners are in a compact table');
      }
      for (const emitter of [its, conn, conn['transport']]) {
        // The transport of a `/ws` connection has no listeners.
        for (const listener of emitter instanceof EventEmitter ? emitter.rawListeners('close') : [])
          assert.ok(!('listener' in listener), 'what comes once needs no wrapper');
      }
      assert.equal(tcp['_peername'], undefined);
      assert.ok(!its.listeners('error').some(({ name }) => name === 'onUpgradeError'));
      assert.ok(!tcp.listeners('close').some((listener) => String(listener).includes('this.emit("close")')));
    }
    const { cleanupFn } = engineOf(socketOf(slim, webSocket.id!)) as unknown as { cleanupFn: unknown[] };
    assert.ok(cleanupFn.length > 0);
    // The names that slimming goes by exist before it.
    const client = await connectClient(plain.url, 'ann');
    const socket = socketOf(plain, client.id!);
    // Its own, which does nothing.
    assert.equal(socket.listenerCount('error'), 1);
    const { transport } = engineOf(socket);
    const its = transport.socket as unknown as WebSocket & { _socket: TcpSocket & Fields };
    assert.ok(its.listeners('error').some(({ name }) => name === 'onUpgradeError'));
    assert.ok(
      its._socket.listeners('close').some((listener) => String(listener).includes('this.emit("close")')),
    );
    assert.ok('_peername' in its._socket);
    client.close();
  });

  it('call nothing on their tables that the tables put in their place do not have', () => {
    const sources = ['socket.io/dist', 'socket.io-adapter/dist', '@socket.io/redis-adapter/dist'].flatMap(
      (folder) =>
        [
          'client.js',
          'socket.js',
          'broadcast-operator.js',
          'in-memory-adapter.js',
          'namespace.js',
          'index.js',
        ]
          .map((file) => join(root, 'node_modules', folder, file))
          .flatMap((file) => {
            try {
              return [readFileSync(file, 'utf8')];
            } catch {
              return [];
            }
          }),
    );
    const called = (pattern: RegExp, texts: readonly string[]) =>
      new Set(texts.flatMap((text) => [...text.matchAll(pattern)].map((match) => match[1]!)));
    const client = readFileSync(join(root, 'node_modules/socket.io/dist/client.js'), 'utf8');
    const tables: [object, Set<string>, number][] = [
      [new SmallTable([]), called(/this\.(?:sockets|nsps)\.(\w+)/g, [client]), 7],
      [new LazyAckTable(), called(/\.acks\.(\w+)/g, sources), 3],
    ];
    for (const [table, names, least] of tables) {
      assert.ok(names.size >= least, `found ${[...names].join(', ')}`);
      for (const name of names) assert.ok(name in table, `${table.constructor.name} has ${name}`);
    }
    const one = new SmallTable([['a', 1]]);
    one.set('b', 2).set('a', 3);
    assert.deepEqual(
      [[...one], one.size, one.has('b'), one.get('a')],
      [
        [
          ['a', 3],
          ['b', 2],
        ],
        2,
        true,
        3,
      ],
    );
    assert.deepEqual([one.delete('a'), one.delete('a'), [...one.values()]], [true, false, [2]]);
    one.clear();
    assert.equal(one.size, 0);
  });

  it('are attached to a new connection by the first listener of an HTTP server, and of an HTTPS server', () => {
    const first = [createServer(), createHttpsServer()].map(
      (server) => server.listeners('connection')[0]?.name,
    );
    assert.deepEqual(first, ['connectionListener', 'tlsConnectionListener']);
  });

  it('let a TCP socket stop and start reading', async () => {
    const socket = socketOf(slim, webSocket.id!);
    const tcp = stopReading(engineOf(socket));
    assert.ok(tcp instanceof TcpSocket);
    const answer = emit(webSocket, 'ping', {});
    const first = await Promise.race([answer, emit(polling, 'ping', {}).then(() => 'the other')]);
    assert.equal(first, 'the other', 'nothing is read meanwhile');
    startReading(tcp);
    assert.ok((await answer).ok);
    assert.equal(stopReading(engineOf(socketOf(slim, polling.id!))), undefined);
  });

  it('let a WebSocket stop between two frames of a chunk, go on, and close meanwhile', async () => {
    const coded = new CodedWebSocketServer({ noServer: true, maxPayload: 1000 });
    const http = createServer().listen(0, '127.0.0.1');
    await once(http, 'listening');
    const { port } = http.address() as AddressInfo;
    const accepted = new Promise<CodedWebSocket>((resolve) =>
      http.on('upgrade', (request, socket, head) => coded.handleUpgrade(request, socket, head, resolve)),
    );
    const client = new WebSocket(`ws://127.0.0.1:${port}`) as WebSocket & { _socket: TcpSocket };
    const its = await accepted;
    await until(() => client.readyState === WebSocket.OPEN, 'the client is open');
    const got: string[] = [];
    its.on('message', (content: Buffer) => {
      got.push(content.toString());
      if (got.length === 3 || got.length === 5) its.stop();
    });
    client._socket.cork();
    for (let n = 1; n <= 7; n++) client.send(String(n));
    client._socket.uncork();
    await until(() => got.length === 3, 'it has stopped');
    client.send('8');
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(got, ['1', '2', '3']);
    its.start();
    assert.deepEqual(got, ['1', '2', '3', '4', '5'], 'the rest of the chunk, until it stops again');
    its.start();
    await until(() => got.length === 8, 'all is read, in order');
    assert.deepEqual(got, ['1', '2', '3', '4', '5', '6', '7', '8']);
    its.stop();
    client.send('9');
    const closed = once(client, 'close');
    its.close(1012, 'bye');
    assert.equal((await closed)[0], 1012);
    await until(() => its.readyState === WebSocket.CLOSED, 'the close frame of the client is read');
    assert.equal(got.length, 8, 'what comes after the close is ignored');
    http.close();
  });

  it('let a body of long-polling be decoded in parts, and answered at its end', async () => {
    const socket = socketOf(slim, polling.id!);
    const transport = engineOf(socket).transport as unknown as Fields;
    assert.ok(Object.hasOwn(transport, 'onData'));
    assert.equal(transport['maxHttpBufferSize'], 1_000_000);
    const budget = inboundOf(engineOf(socket))!;
    budget.pause(pauses.answers);
    const order: string[] = [];
    const { id: sid } = engineOf(socket);
    const packets = ['42["publish",{"topic":"canary.body","payload":1}]', '42["ping",{}]'].join('\x1e');
    const before = counts().fast_publishes;
    const posted = fetch(`${slim.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`, {
      method: 'POST',
      body: packets,
    }).then(async (response) => order.push(await response.text()));
    // The budget's reader keeps the body; engine.io has taken it for decoded.
    await until(() => hasBody(budget), 'the body has arrived');
    assert.deepEqual([order, counts().fast_publishes], [[], before]);
    budget.resume(pauses.answers);
    await posted;
    assert.deepEqual([order, counts().fast_publishes], [['ok'], before + 1]);
  });

  it('let a transport of long-polling close at once when its connection has ended: nobody can poll it any more', async () => {
    const { engine } = slim.service.io;
    const opened = once(engine, 'connection') as Promise<[EngineConnection & EventEmitter]>;
    const address = `${slim.url}/socket.io/?EIO=4&transport=polling`;
    const { sid } = JSON.parse((await (await fetch(address)).text()).slice(1)) as { sid: string };
    const [ended] = await opened;
    assert.equal(ended.id, sid);
    // What engine.io cannot read ends the connection: here a body of bytes.
    const { status } = await fetch(`${address}&sid=${sid}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/octet-stream' },
      body: 'x',
    });
    const { readyState } = ended.transport as unknown as { readonly readyState: string };
    assert.deepEqual([status, ended.readyState, readyState], [400, 'closed', 'closed']);
  });

  it('tell pongs that answer a ping from others', async () => {
    const engine = engineOf(socketOf(slim, webSocket.id!));
    assert.equal(awaitsPong(engine), false);
    (engine as unknown as { pingIntervalTimer: { _onTimeout(): void } }).pingIntervalTimer._onTimeout();
    assert.equal(awaitsPong(engine), true);
    await until(() => !awaitsPong(engine), 'the client has answered');
  });

  it('ping a client at once, with never more than one ping under way', async () => {
    for (const connection of [slim.service.io.sockets.sockets.get(webSocket.id!)!]) {
      const engine = engineOf(connection);
      let answers = 0;
      const onAnswer = () => answers++;
      connection.conn.on('heartbeat', onAnswer);
      pingNow(engine);
      pingNow(engine);
      assert.equal(awaitsPong(engine), true);
      await until(() => !awaitsPong(engine), 'the client has answered');
      await emit(webSocket, 'ping', {});
      connection.conn.off('heartbeat', onAnswer);
      assert.equal(answers, 1);
    }
  });

  it('tell requests of a transport from handshakes, and leave the response on a request', async () => {
    const { http, io } = slim.service;
    const seen: { request: IncomingMessage; response: unknown }[] = [];
    const look = (request: IncomingMessage) => seen.push({ request, response: responseOf(request) });
    http.on('request', look);
    const seenWith = (text: string) => seen.find(({ request: { url } }) => url?.includes(text));
    await emit(polling, 'ping', {});
    const { request, response } = seenWith('sid=')!;
    assert.ok(belongsToTransport(request, io));
    assert.ok(response instanceof ServerResponse);
    await fetch(`${slim.url}/socket.io/?EIO=4&transport=polling&sid=invented`);
    assert.ok(!belongsToTransport(seenWith('invented')!.request, io));
    http.off('request', look);
  });

  it('answer a refused polling handshake by the response on its request', async () => {
    const response = await fetch(`${slim.url}/socket.io/?EIO=4&transport=polling`, {
      headers: { origin: 'http://elsewhere.example' },
    });
    assert.equal(response.status, 200, 'any origin is allowed here');
    const strict = await startEmbedded({ RTC_WEBSOCKET_ALLOWED_ORIGINS: 'https://app.example' });
    const refused = await fetch(`${strict.url}/socket.io/?EIO=4&transport=polling`, {
      headers: { origin: 'http://elsewhere.example' },
    });
    assert.equal(refused.status, 403);
    assert.equal(((await refused.json()) as { error: { code: string } }).error.code, 'forbidden');
    await strict.service.close();
  });

  it('count acknowledgement ids from 0 again below those of the service', () => {
    const counter = slim.service.io.of('/') as unknown as { _ids: number };
    const before = counter._ids;
    counter._ids = firstSharedAckId - 1;
    assert.deepEqual([counter._ids++, counter._ids++, counter._ids], [firstSharedAckId - 1, 0, 1]);
    counter._ids = before;
  });

  it('take acknowledgements of packets that were written past socket.io', async () => {
    const asked = once(webSocket as unknown as NodeJS.EventEmitter, 'direct');
    const answer = emit(polling, 'direct', { to: 'websocket', payload: 1 });
    const [, acknowledge] = (await asked) as [unknown, () => void];
    acknowledge();
    assert.equal((await answer)['delivered'], 1);
  });

  it('run one version of ws', () => {
    const { ws } = slim.service.io.engine as unknown as { ws: object };
    assert.ok(ws instanceof CodedWebSocketServer);
    const its = (engineOf(socketOf(slim, webSocket.id!)).transport as { socket: object }).socket;
    assert.ok(its instanceof WebSocket);
  });

  it('send a close frame with a code to every WebSocket when the service closes', async () => {
    const closing = await startEmbedded();
    const client = await connectClient(closing.url, 'ann');
    const engine = client.io.engine as unknown as { transport: { ws: WebSocket } };
    const code = new Promise<number>((resolve) => engine.transport.ws.once('close', resolve));
    const raw = new JsonClient(closing.webSocketUrl, 'bob');
    const rawCode = new Promise<number>((resolve) => raw.webSocket.once('close', resolve));
    await once(raw.webSocket, 'message');
    await closing.service.close();
    assert.deepEqual(await Promise.all([code, rawCode]), [1012, 1012]);
  });
});
