import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import WebSocket, { WebSocketServer } from 'ws';
import { ConnectionAttempt } from '../../../server/gateway/connection-attempt.js';
import { WsConnection } from '../../../server/gateway/ws/ws-connection.js';
import { until } from '../../support/wait.js';

/** More bytes than the kernel accepts for a reader that does not read. */
const large = 'x'.repeat(8 * 1024 * 1024);

describe('[SESSION] heartbeats of /ws', () => {
  let server: WebSocketServer;
  let client: WebSocket;
  let connection: WsConnection;
  let heartbeats: number;

  /** Without a further ping the newest one stays the newest. */
  const stopAsking = () => clearInterval((connection as unknown as { heartbeat: NodeJS.Timeout }).heartbeat);

  beforeEach(async () => {
    server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((resolve) => server.once('listening', resolve));
    const accepted = new Promise<[WebSocket, IncomingMessage]>((resolve) =>
      server.once('connection', (webSocket, request) => resolve([webSocket, request])),
    );
    client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await new Promise((resolve) => client.once('open', resolve));
    const [webSocket, request] = await accepted;
    const credentials = { token: () => '', sessionId: undefined, positions: undefined };
    const attempt = new ConnectionAttempt('json', request, '127.0.0.1', credentials, request.socket);
    connection = new WsConnection(
      { id: 'c', webSocket, attempt },
      { heartbeatIntervalMs: 20, clientTimeoutMs: 60_000 },
    );
    heartbeats = 0;
    connection.on('heartbeat', () => heartbeats++);
  });
  afterEach(() => {
    client.terminate();
    for (const webSocket of server.clients) webSocket.terminate();
    server.close();
  });

  it('confirm what was written before, not what still waits in the queue', async () => {
    let received = 0;
    const tooEarly: number[] = [];
    client.on('message', () => received++);
    // The client reads nothing: one frame is in progress, two wait.
    client.pause();
    for (let n = 0; n < 3; n++) connection.writeJson({ type: 'Broadcast', data: large });
    let pings = 0;
    connection.on('ping', () => pings++);
    await until(() => pings >= 3, 'the service has sent a ping while they wait');
    assert.ok(connection.writeBuffer.length >= 2, 'they wait');
    stopAsking();
    const before = heartbeats;
    connection.on('heartbeat', () => {
      if (received < 3) tooEarly.push(received);
    });
    client.resume();
    await until(() => received === 3 && heartbeats > before, 'all is read, and a heartbeat is answered');
    assert.deepEqual(tooEarly, [], 'messages received at heartbeats that were answered');
  });

  it('are not confirmed by unsolicited pongs, nor twice by the same one', async () => {
    let pings = 0;
    const clientPong = client.pong.bind(client);
    // The client does not answer automatically.
    (client as unknown as { _autoPong: boolean })._autoPong = false;
    let last: Buffer | undefined;
    client.on('ping', (data: Buffer) => {
      pings++;
      last = data;
    });
    await until(() => pings >= 1, 'a ping');
    const before = heartbeats;
    clientPong();
    clientPong('unasked');
    await until(() => pings >= 4, 'more pings');
    assert.equal(heartbeats, before);
    // The rest without further pings: each pong must belong to the same one.
    stopAsking();
    const end = pings;
    connection.writeJson({ type: 'Pong' });
    await new Promise((resolve) => client.once('message', resolve));
    assert.ok(pings >= end);
    const heard: number[] = [];
    connection.receive(() => heard.push(heartbeats));
    clientPong(last);
    clientPong(last);
    client.send('done');
    await until(() => heard.length === 1, 'all of it is read');
    assert.equal(heard[0], before + 1);
  });
});
