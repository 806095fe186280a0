import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { answerUnservedUpgrades } from '../../../server/gateway/handshake/unserved-upgrades.js';
import { TcpClient } from '../../support/tcp-client.js';
import { until } from '../../support/wait.js';

describe('[WIRE] an upgrade that the service does not serve', function () {
  it('is closed after a time if a program listens to upgrades and does not answer, also if the client never closes its side', async () => {
    const http = createServer((_request, response) => response.end('first'));
    const sockets: Duplex[] = [];
    http.on('upgrade', ({ url }, socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      if (url === '/answered') socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    });
    answerUnservedUpgrades(
      { http, isServed: ({ url }) => url === '/served', before: http.listeners('upgrade') },
      { limitMs: 50 },
    );
    const port = await new Promise<number>((resolve) => {
      http.listen(0, '127.0.0.1', () => resolve((http.address() as { port: number }).port));
    });
    const closed: string[] = [];
    const clients = ['/nobody', '/served', '/answered'].map((path) => {
      const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      client.on('end', () => closed.push(path)).resume();
      // The connection has answered something before.
      client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
      client.once('data', () => {
        client.write(
          `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
        );
      });
      return client;
    });
    const count = () =>
      new Promise<number>((resolve) => http.getConnections((_error, connections) => resolve(connections)));
    try {
      await until(async () => closed.length > 0 && (await count()) === 2, 'the socket is closed');
      assert.deepEqual(closed, ['/nobody']);
    } finally {
      for (const socket of [...clients, ...sockets]) socket.destroy();
      await new Promise((resolve) => http.close(resolve));
    }
  });

  it('is closed also if it came behind requests that are answered later', async () => {
    const answer: (() => void)[] = [];
    const http = createServer((_request, response) => answer.push(() => response.end('late')));
    const sockets: Duplex[] = [];
    http.on('upgrade', (_request, socket) => sockets.push(socket));
    answerUnservedUpgrades(
      { http, isServed: () => false, before: http.listeners('upgrade') },
      { limitMs: 50 },
    );
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const client = new TcpClient(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    try {
      client.get('/');
      client.get('/');
      client.upgrade('/nobody');
      await until(() => answer.length === 2 && sockets.length === 1, 'all have arrived');
      for (const [n, run] of answer.entries()) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        assert.equal(sockets[0]!.destroyed, false, 'an answer is under way');
        run();
        await until(() => client.received.split('late').length === n + 2, 'it is answered');
      }
      await until(() => sockets[0]!.destroyed, 'the connection is closed');
    } finally {
      client.reset();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => http.close(resolve));
    }
  });

  it('is refused, or served as plain HTTP, behind the answers to earlier requests, also where a client resets it meanwhile', async () => {
    const answer: (() => void)[] = [];
    const http = createServer((request, response) => answer.push(() => response.end(`to ${request.url}`)));
    http.on('upgrade', (_request, socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    });
    answerUnservedUpgrades(
      { http, isServed: ({ url }) => url === '/served', before: [] },
      { limitMs: 60_000 },
    );
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    const open: TcpClient[] = [];
    const warnings: string[] = [];
    const onWarning = ({ message }: Error) => warnings.push(message);
    process.on('warning', onWarning);
    const answeredBehind = async (send: (client: TcpClient) => void, count: number) => {
      const client = new TcpClient(url);
      open.push(client);
      client.get('/first');
      send(client);
      await until(() => answer.length === 1, 'the first has arrived');
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(client.received, '');
      const statuses = () => client.received.match(/HTTP\/1\.1 \d+|to \/(?:first|plain)/g) ?? [];
      await until(() => {
        answer.shift()?.();
        return statuses().length >= count;
      }, 'all are answered');
      return statuses();
    };
    try {
      const first = ['HTTP/1.1 200', 'to /first'];
      const refused = await answeredBehind((client) => client.upgrade('/nobody'), 3);
      assert.deepEqual(refused, [...first, 'HTTP/1.1 404']);
      const served = await answeredBehind((client) => client.upgrade('/served'), 3);
      assert.deepEqual(served, [...first, 'HTTP/1.1 101']);
      const plain = await answeredBehind((client) => {
        for (let n = 0; n < 12; n++) client.get('/plain', 'Connection: Upgrade\r\nUpgrade: h2c\r\n');
      }, 26);
      const each = Array.from({ length: 12 }, () => ['HTTP/1.1 200', 'to /plain']);
      assert.deepEqual(plain, [...first, ...each.flat()]);
      const gone = new TcpClient(url);
      gone.get('/first');
      gone.upgrade('/served');
      await until(() => answer.length === 1, 'the first has arrived');
      await new Promise((resolve) => setTimeout(resolve, 50));
      for (const client of [gone, ...open.splice(0)]) client.reset();
      answer.shift()!();
      const count = () => new Promise<number>((resolve) => http.getConnections((_error, n) => resolve(n)));
      await until(async () => (await count()) === 0, 'the connections have closed');
      assert.deepEqual(warnings, []);
    } finally {
      process.off('warning', onWarning);
      for (const client of open) client.reset();
      await new Promise((resolve) => http.close(resolve));
    }
  });

  it('is closed with its client behind a request that is never answered, and the route of that learns of it', async () => {
    const waiting: string[] = [];
    const http = createServer(({ url = '' }, response) => {
      waiting.push(url);
      response.on('close', () => waiting.splice(waiting.indexOf(url), 1));
    });
    http.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
    answerUnservedUpgrades(
      { http, isServed: ({ url }) => url === '/served', before: [] },
      { limitMs: 60_000 },
    );
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const sockets: Socket[] = [];
    http.on('connection', (socket: Socket) => sockets.push(socket));
    const clients: TcpClient[] = [];
    try {
      for (const path of ['/served', '/nobody']) {
        const client = new TcpClient(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
        clients.push(client);
        client.get(`/before${path}`);
        client.upgrade(path);
      }
      await until(() => waiting.length === 2, 'the routes wait');
      for (const client of clients) client.halfClose();
      await until(() => waiting.length === 0, 'the routes have learned that their clients have gone');
      await until(() => sockets.every(({ destroyed }) => destroyed), 'the connections have closed');
    } finally {
      for (const client of clients) client.reset();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => http.close(resolve));
    }
  });

  it('is closed a time after its client if a program listens to upgrades, and answers neither it nor the request before it', async () => {
    const http = createServer(() => {});
    const sockets: Duplex[] = [];
    http.on('upgrade', (_request, socket) => sockets.push(socket));
    answerUnservedUpgrades(
      { http, isServed: () => false, before: http.listeners('upgrade') },
      { limitMs: 50 },
    );
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const client = new TcpClient(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    try {
      client.get('/first');
      client.upgrade('/nobody');
      await until(() => sockets.length === 1, 'the upgrade has arrived');
      client.halfClose();
      await until(() => sockets[0]!.destroyed, 'the connection has closed', 2000);
    } finally {
      client.reset();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => http.close(resolve));
    }
  });

  it('ends nothing if its client resets the connection, and no listener of the program has taken it', async () => {
    const http = createServer();
    const sockets: Duplex[] = [];
    http.on('upgrade', (_request, socket) => sockets.push(socket));
    answerUnservedUpgrades(
      { http, isServed: () => false, before: http.listeners('upgrade') },
      { limitMs: 60_000 },
    );
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const client = new TcpClient(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    try {
      client.upgrade('/nobody');
      await until(() => sockets.length === 1, 'the upgrade has arrived');
      client.reset();
      await until(() => sockets[0]!.destroyed, 'the connection has closed');
    } finally {
      client.reset();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => http.close(resolve));
    }
  });
});
