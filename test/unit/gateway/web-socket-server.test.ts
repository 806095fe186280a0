import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { attackFrame, upgradeRequest } from '../../../bench/attack/raw-client.js';
import { until } from '../../support/wait.js';
import { hasGone } from '../../../server/gateway/engine-internals/accepted-connections.js';
import {
  CodedWebSocketServer,
  type CodedWebSocket,
} from '../../../server/gateway/engine-internals/web-socket-server.js';

describe('[LIMITS] a WebSocket of a server', () => {
  let http: Server;
  let sockets: CodedWebSocketServer;
  let mayDecode: (bytes: number) => boolean;
  const clients: Socket[] = [];

  beforeEach(async () => {
    http = createServer();
    sockets = new CodedWebSocketServer({ server: http, maxPayload: 1_000_000 }, () => ({
      mayDecode: (bytes) => mayDecode(bytes),
      admitFrame: () => true,
      admitFragment: () => {},
      unreadPacket: () => undefined,
      admitUnfinished: () => {},
      admitControlFrame: () => {},
      admitPacket: () => true,
      ended: () => {},
    }));
    mayDecode = () => true;
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
    for (const webSocket of sockets.clients) webSocket.terminate();
    sockets.close();
    http.close();
  });

  /** A client, and its WebSocket and TCP socket at the server. */
  async function open(): Promise<{ client: Socket; webSocket: CodedWebSocket; tcp: Socket }> {
    const client = connect((http.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => {});
    clients.push(client);
    client.write(upgradeRequest('/'));
    const [webSocket] = (await once(sockets, 'connection')) as [CodedWebSocket];
    return { client, webSocket, tcp: (webSocket as unknown as { readonly _socket: Socket })._socket };
  }

  it('is not read while it is stopped, not into buffers of Node either, and goes on where it was', async () => {
    const { client, webSocket, tcp } = await open();
    const other = await open();
    const frame = attackFrame('x'.repeat(100_000));
    client.write(frame.subarray(0, 10));
    await once(tcp, 'data');
    webSocket.stop();
    const { bytesRead } = tcp;
    await new Promise((resolve) => client.write(frame.subarray(10), resolve));
    other.client.write(attackFrame('later'));
    await once(other.webSocket, 'message');
    await new Promise(setImmediate);
    assert.equal(tcp.bytesRead, bytesRead);
    webSocket.start();
    const [content] = (await once(webSocket, 'message')) as [Buffer];
    assert.equal(content.length, 100_000);
  });

  it('is not read any more when it is closed for what it sent, not into buffers of Node either', async () => {
    const { client, webSocket, tcp } = await open();
    const other = await open();
    const frame = attackFrame('x'.repeat(500_000));
    client.write(frame.subarray(0, 10));
    await once(tcp, 'data');
    webSocket.closeOnlyWith([1008, 'too much']);
    webSocket.close();
    const { bytesRead } = tcp;
    await new Promise((resolve) => client.write(frame.subarray(10, 100_000), resolve));
    // What comes later from another client is read: so this would have been.
    other.client.write(attackFrame('later'));
    await once(other.webSocket, 'message');
    await new Promise(setImmediate);
    assert.equal(tcp.bytesRead, bytesRead);
    assert.equal(tcp.readableLength, 0);
  });

  it('ignores what Node has read of a frame that was forgotten when it was closed', async () => {
    const { client, webSocket, tcp } = await open();
    const frame = attackFrame('x'.repeat(1000));
    client.write(frame.subarray(0, 10));
    await once(tcp, 'data');
    webSocket.closeOnlyWith([1008, 'too much']);
    // ws reads it when the connection closes. It is as long as the frame of which the beginning is forgotten.
    tcp.unshift(frame);
    const closed = once(webSocket, 'close');
    tcp.destroy();
    await closed;
    assert.equal(tcp.readableLength, 0);
  });

  /** The frames that are read when it is started again, and its client has gone meanwhile. */
  async function framesOfOneThatGoes(go: (client: Socket, tcp: Socket) => Promise<void>): Promise<number> {
    const { client, webSocket, tcp } = await open();
    let frames = 0;
    webSocket.on('message', () => {
      if (frames++ === 0) webSocket.stop();
    });
    const sent = Buffer.concat(Array.from({ length: 3000 }, () => attackFrame('x'.repeat(100))));
    await new Promise((resolve) => client.write(sent, resolve));
    await until(() => frames === 1, 'it is stopped');
    await go(client, tcp);
    const closed = once(webSocket, 'close');
    webSocket.start();
    await closed;
    return frames;
  }

  it('is closed when it is started again and its client has reset the connection: what is left is not read', async () => {
    const frames = await framesOfOneThatGoes(async (client, tcp) => {
      client.resetAndDestroy();
      await until(() => hasGone(tcp), 'the client has gone');
    });
    assert.equal(frames, 1);
  });

  it('that is probed has no connection any more if its client has closed it, so that what is left is not read', async () => {
    const { client, webSocket, tcp } = await open();
    // What it has not read would reset the connection.
    await once(client, 'data');
    webSocket.stop();
    client.destroy();
    await once(client, 'close');
    assert.equal(hasGone(tcp), false, 'nothing says so before');
    webSocket.probe();
    await until(() => hasGone(tcp), 'the client has gone');
  });

  it('that is probed is answered by a client that is there', async () => {
    const { client, webSocket } = await open();
    await once(client, 'data');
    webSocket.probe();
    const [answer] = (await once(client, 'data')) as [Buffer];
    assert.deepEqual([...answer.subarray(-2)], [0x89, 0], 'a ping without content');
  });

  it('is read to its end when its client has left', async () => {
    const frames = await framesOfOneThatGoes((client) => new Promise((resolve) => client.end(resolve)));
    assert.equal(frames, 3000);
  });

  it('takes a large frame that has to wait when it is started again, and those behind it in their order', async () => {
    const { client, webSocket } = await open();
    const asked: number[] = [];
    const received: number[] = [];
    webSocket.on('message', (content: Buffer) => received.push(content.length));
    mayDecode = (bytes) => {
      asked.push(bytes);
      if (asked.length !== 2) return true;
      webSocket.stop();
      return false;
    };
    client.write(Buffer.concat([10, 20_000, 16_383].map((size) => attackFrame('x'.repeat(size)))));
    await until(() => asked.length === 2, 'the large frame is complete');
    assert.deepEqual(received, [10]);
    webSocket.start();
    await until(() => received.length === 3, 'all are received');
    assert.deepEqual(received, [10, 20_000, 16_383]);
    assert.deepEqual(asked, [10, 20_000, 20_000, 16_383]);
  });

  it('reports its close in a later turn where many close in one: other work goes on between them', async () => {
    const opened = [];
    for (let n = 0; n < 20; n++) opened.push((await open()).webSocket);
    let turns = 0;
    const reported: number[] = [];
    const reportedIn = new Set<number>();
    for (const [n, webSocket] of opened.entries())
      webSocket.on('close', () => {
        const from = performance.now();
        while (performance.now() - from < 3);
        reported.push(n);
        reportedIn.add(turns);
      });
    for (const webSocket of opened) webSocket.terminate();
    for (; reported.length < opened.length; turns++) await new Promise(setImmediate);
    assert.deepEqual(
      reported.sort((a, b) => a - b),
      [...opened.keys()],
      'each once',
    );
    // Three of 3 ms each in a turn.
    assert.ok(reportedIn.size >= 6, `${reportedIn.size} turns`);
  });
});
