import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket as TcpSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Socket } from 'socket.io-client';
import WebSocket from 'ws';
import { connectClient } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';
import { resetSocket } from '../../bench/reset-socket.js';

const upgradeHeaders = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  'Sec-WebSocket-Version': '13',
};

/** The HTTP status of a request whose path is sent as it is written. */
function statusOf(url: string, path: string, headers: Record<string, string> = {}): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = httpRequest({ hostname, port, path, headers, agent: false });
    request.on('response', (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(response.statusCode!);
    });
    request.on('error', reject);
    request.end();
  });
}

describe('[LIMITS] a handshake is identified by the session id that engine.io reads', function () {
  let held: EmbeddedService;
  let client: Socket;
  const atCapacity = 503;

  before(async () => {
    held = await startEmbedded({ LOG_LEVEL: 'off', RTC_WEBSOCKET_MAX_CONNECTIONS: '1' });
    client = await connectClient(held.url, 'ann', { transports: ['polling', 'websocket'] });
  });
  after(async () => {
    client.disconnect();
    await held.service.close();
  });

  it('upgrades the only allowed connection to a WebSocket', async () => {
    await until(() => client.io.engine.transport.name === 'websocket', 'the transport is upgraded');
  });

  it('counts a handshake however the session id is written in its URL', async () => {
    const sid = client.io.engine.id!;
    for (const query of [
      '',
      '&sid=',
      '&%73id=',
      '&x=?sid=1',
      '&x=%26sid=1',
      `&sid=${sid}&sid=`,
      '&SID=1',
      '&#&sid=1',
    ]) {
      const polling = `/socket.io/?EIO=4&transport=polling${query}`;
      assert.equal(await statusOf(held.url, polling), atCapacity, query);
      const webSocket = `/socket.io/?EIO=4&transport=websocket${query}`;
      assert.equal(await statusOf(held.url, webSocket, upgradeHeaders), atCapacity, query);
      const json = `/ws?token=${tokenOf('bob')}${query}`;
      assert.equal(await statusOf(held.url, json, upgradeHeaders), atCapacity, query);
    }
    assert.equal(held.service.io.engine.clientsCount, 1);
  });

  it('refuses a session id that no transport has', async () => {
    for (const query of ['&sid=nope', '&sid=&sid=nope', '&%73id=nope', '&sid=__proto__', '&sid=toString']) {
      assert.equal(await statusOf(held.url, `/socket.io/?EIO=4&transport=polling${query}`), 400, query);
      const webSocket = `/socket.io/?EIO=4&transport=websocket${query}`;
      assert.equal(await statusOf(held.url, webSocket, upgradeHeaders), 400, query);
    }
    assert.equal(
      await statusOf(held.url, `/ws?token=${tokenOf('bob')}&sid=${client.io.engine.id!}`, upgradeHeaders),
      atCapacity,
    );
  });

  it('leaves a request for /ws in the form of an engine.io path to engine.io', async () => {
    const path = `/socket.io/../ws?token=${tokenOf('bob')}`;
    let written = 0;
    held.service.http.once('upgrade', (_request: IncomingMessage, socket: Duplex) => {
      const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
      socket.write = (...args: unknown[]) => {
        written++;
        return write(...args);
      };
    });
    assert.equal(await statusOf(held.url, path, upgradeHeaders), 400);
    assert.equal(written, 1);
  });
});

describe('[WIRE] the WebSockets of both wires', function () {
  let embedded: EmbeddedService;
  before(async () => {
    embedded = await startEmbedded();
  });
  after(() => embedded.service.close());

  it('use one version of ws, which limits the waiting pongs', async () => {
    const client = await connectClient(embedded.url, 'ann');
    const json = new WebSocket(`${embedded.webSocketUrl}?token=${tokenOf('bob')}`);
    await new Promise((resolve) => json.once('message', resolve));
    const sockets = await embedded.service.io.local.fetchSockets();
    assert.equal(sockets.length, 2);
    for (const { conn } of embedded.service.io.of('/').sockets.values()) {
      const { socket: webSocket } = conn.transport as unknown as { socket: unknown };
      assert.ok(webSocket instanceof WebSocket);
      // From now on no data is sent, as to a client that does not read.
      const { _socket: tcp } = webSocket as unknown as { _socket: TcpSocket };
      tcp.cork();
    }
    const { ws } = client.io.engine.transport as unknown as { ws: WebSocket };
    for (const peer of [ws, json]) for (let n = 0; n < 200; n++) peer.ping();
    try {
      await until(() => embedded.service.io.of('/').sockets.size === 0, 'both connections are closed');
    } finally {
      client.disconnect();
      json.terminate();
    }
  });

  it('have no listener left from the time before the upgrade was answered', async () => {
    const client = await connectClient(embedded.url, 'ann');
    const [socket] = embedded.service.io.of('/').sockets.values();
    const { socket: webSocket } = socket!.conn.transport as unknown as { socket: { _socket: TcpSocket } };
    assert.deepEqual(
      webSocket._socket.listeners('error').map((listener) => listener.name),
      ['socketOnError'],
    );
    client.disconnect();
  });
});

describe('[WIRE] an upgrade whose client resets the connection', function () {
  let embedded: EmbeddedService;
  const uncaught: unknown[] = [];
  const onUncaught = (error: unknown) => uncaught.push(error);
  let others: NodeJS.UncaughtExceptionListener[];

  before(async () => {
    embedded = await startEmbedded({
      LOG_LEVEL: 'off',
      RTC_WEBSOCKET_HANDSHAKES_PER_SEC: '1',
      RTC_WEBSOCKET_MAX_CONNECTIONS_PER_USER: '100',
    });
    others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', onUncaught);
  });
  after(async () => {
    process.off('uncaughtException', onUncaught);
    for (const listener of others) process.on('uncaughtException', listener);
    await embedded.service.close();
  });

  const handshake = '/socket.io/?EIO=4&transport=websocket';
  const cases: readonly (readonly [string, () => string])[] = [
    ['of Socket.IO while it waits', () => handshake],
    ['of /ws while it waits', () => `/ws?token=${tokenOf('ann')}`],
    ['of /ws that is refused', () => '/ws'],
    ['with an unknown session id', () => `${handshake}&sid=nope`],
    ['with an unknown transport', () => '/socket.io/?EIO=4&transport=nope'],
    ['at a path that nobody serves', () => '/elsewhere'],
    ['without an address', () => '//'],
  ];
  for (const [title, path] of cases) {
    it(`${title} throws nothing`, async () => {
      const { http } = embedded.service;
      const seen: Duplex[] = [];
      const onUpgrade = (_request: IncomingMessage, socket: Duplex) => seen.push(socket);
      http.on('upgrade', onUpgrade);
      const clients = Array.from({ length: 5 }, () => {
        const client = connect(Number(new URL(embedded.url).port), '127.0.0.1');
        client.on('error', () => {});
        const head = Object.entries({ Host: 'localhost', ...upgradeHeaders });
        client.write(
          `GET ${path()} HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
        );
        return client;
      });
      await until(() => seen.length === clients.length, 'the upgrades have arrived');
      for (const client of clients) resetSocket(client);
      await until(() => seen.every((socket) => socket.closed), 'their sockets are closed');
      http.off('upgrade', onUpgrade);
      await new Promise(setImmediate);
      assert.deepEqual(uncaught, []);
    });
  }
});
