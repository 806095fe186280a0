import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { answerUnservedUpgrades } from '../../../server/gateway/handshake/unserved-upgrades.js';
import { TcpClient } from '../../support/tcp-client.js';
import { until } from '../../support/wait.js';

describe('[WIRE] an upgrade that the service does not serve', function () {
  let http: Server;
  let url: string;
  /** Of all connections, on the side of the service. */
  let sockets: Socket[];
  let clients: TcpClient[];

  afterEach(async () => {
    for (const client of clients) client.reset();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => http.close(resolve));
  });

  interface Listeners {
    readonly requests?: RequestListener;
    /** Of the service, which serves `/served` alone. */
    readonly service?: (request: IncomingMessage, socket: Duplex) => void;
    readonly program?: (request: IncomingMessage, socket: Duplex) => void;
  }
  const start = async (limitMs: number, { requests = () => {}, service, program }: Listeners) => {
    http = createServer(requests);
    sockets = [];
    clients = [];
    http.on('connection', (socket: Socket) => sockets.push(socket));
    if (program !== undefined) http.on('upgrade', program);
    const before = http.listeners('upgrade');
    if (service !== undefined) http.on('upgrade', service);
    answerUnservedUpgrades({ http, isServed: ({ url: path }) => path === '/served', before }, { limitMs });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  };
  const open = () => {
    const client = new TcpClient(url);
    clients.push(client);
    return client;
  };
  const switchProtocols = (_request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
  };
  const connections = () =>
    new Promise<number>((resolve) => http.getConnections((_error, count) => resolve(count)));

  it('is closed after a time if a program listens to upgrades and does not answer, also if the client never closes its side', async () => {
    await start(50, {
      requests: (_request, response) => response.end('first'),
      program: ({ url: path }, socket) => {
        socket.on('error', () => {});
        if (path === '/answered') socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      },
    });
    const paths = ['/nobody', '/served', '/answered'];
    for (const path of paths) {
      const client = open();
      // The connection has answered something before.
      client.get('/');
      await until(() => client.received.includes('first'), 'it is answered');
      client.upgrade(path);
    }
    await until(async () => (await connections()) === 2, 'a socket is closed');
    await until(() => clients.some(({ ended }) => ended), 'its client sees it');
    assert.deepEqual(
      paths.filter((_path, n) => clients[n]!.ended),
      ['/nobody'],
    );
  });

  it('is closed also if it came behind requests that are answered later', async () => {
    const answer: (() => void)[] = [];
    let upgrades = 0;
    await start(50, {
      requests: (_request, response) => answer.push(() => response.end('late')),
      program: () => upgrades++,
    });
    const client = open();
    client.get('/');
    client.get('/');
    client.upgrade('/nobody');
    await until(() => answer.length === 2 && upgrades === 1, 'all have arrived');
    for (const [n, run] of answer.entries()) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(sockets[0]!.destroyed, false, 'an answer is under way');
      run();
      await until(() => client.received.split('late').length === n + 2, 'it is answered');
    }
    await until(() => sockets[0]!.destroyed, 'the connection is closed');
  });

  it('is refused, or served as plain HTTP, behind the answers to earlier requests, also where a client resets it meanwhile', async () => {
    const answer: (() => void)[] = [];
    await start(60_000, {
      requests: (request, response) => answer.push(() => response.end(`to ${request.url}`)),
      service: switchProtocols,
    });
    const warnings: string[] = [];
    const onWarning = ({ message }: Error) => warnings.push(message);
    process.on('warning', onWarning);
    const answeredBehind = async (send: (client: TcpClient) => void, count: number) => {
      const client = open();
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
      const gone = open();
      gone.get('/first');
      gone.upgrade('/served');
      await until(() => answer.length === 1, 'the first has arrived');
      await new Promise((resolve) => setTimeout(resolve, 50));
      for (const client of clients) client.reset();
      answer.shift()!();
      await until(async () => (await connections()) === 0, 'the connections have closed');
      assert.deepEqual(warnings, []);
    } finally {
      process.off('warning', onWarning);
    }
  });

  it('is closed with its client behind a request that is never answered, and the route of that learns of it', async () => {
    const waiting: string[] = [];
    await start(60_000, {
      requests: ({ url: path = '' }, response) => {
        waiting.push(path);
        response.on('close', () => waiting.splice(waiting.indexOf(path), 1));
      },
      service: switchProtocols,
    });
    for (const path of ['/served', '/nobody']) {
      const client = open();
      client.get(`/before${path}`);
      client.upgrade(path);
    }
    await until(() => waiting.length === 2, 'the routes wait');
    for (const client of clients) client.halfClose();
    await until(() => waiting.length === 0, 'the routes have learned that their clients have gone');
    await until(() => sockets.every(({ destroyed }) => destroyed), 'the connections have closed');
  });

  it('is closed a time after its client if a program listens to upgrades, and answers neither it nor the request before it', async () => {
    let upgrades = 0;
    await start(50, { program: () => upgrades++ });
    const client = open();
    client.get('/first');
    client.upgrade('/nobody');
    await until(() => upgrades === 1, 'the upgrade has arrived');
    client.halfClose();
    await until(() => sockets[0]!.destroyed, 'the connection has closed', 2000);
  });

  it('ends nothing if its client resets the connection, and no listener of the program has taken it', async () => {
    let upgrades = 0;
    await start(60_000, { program: () => upgrades++ });
    const client = open();
    client.upgrade('/nobody');
    await until(() => upgrades === 1, 'the upgrade has arrived');
    client.reset();
    await until(() => sockets[0]!.destroyed, 'the connection has closed');
  });
});
