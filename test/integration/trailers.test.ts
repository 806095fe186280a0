import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { tokenOf } from '../support/replica.js';
import { TcpClient } from '../support/tcp-client.js';
import { until } from '../support/wait.js';

const fields = `X-A: ${'a'.repeat(140)}\r\n`.repeat(100);
/** Trailers behind the end of a body, without their own end. */
const half = `0\r\n${fields}X-Last: `;
const body = '{"topic":"a","payload":1}';

describe('[LIMITS] trailers of one address that have not arrived completely', function () {
  let embedded: EmbeddedService;
  const open: TcpClient[] = [];
  const sockets: Socket[] = [];
  const connected = (address?: string): TcpClient => {
    const client = new TcpClient(embedded.url, address);
    open.push(client);
    return client;
  };
  const isClosed = ({ ended, closed }: TcpClient) => ended || closed;
  const isPublished = ({ received }: TcpClient) => received.startsWith('HTTP/1.1 200 ');
  /** A publish whose body comes in these pieces, without its end. */
  const publishOf = (pieces: readonly string[] = [body]) => {
    const head = `POST /api/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokenOf('ann')}\r\n`;
    const chunks = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');
    return `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}`;
  };
  const bytesRead = () => sockets.reduce((sum, socket) => sum + socket.bytesRead, 0);
  const closedByService = () => embedded.service.metrics.document().rate_limit_stats.tcp;
  beforeEach(async () => {
    embedded = await startEmbedded({
      LOG_LEVEL: 'off',
      NODE_ENV: 'test',
      RTC_SERVER_TRUSTED_PROXIES: '192.0.2.0/24',
      RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '0',
    });
    embedded.service.http.on('connection', (socket: Socket) => sockets.push(socket));
  });
  afterEach(async () => {
    for (const client of open.splice(0)) client.reset();
    sockets.length = 0;
    await embedded.service.close();
  });

  const ways: Readonly<Record<string, (flood: readonly TcpClient[]) => Promise<void> | void>> = {
    'in one piece with the body': (flood) => {
      for (const client of flood) client.write(publishOf() + half);
    },
    'after it': (flood) => {
      for (const client of flood) client.write(publishOf());
      for (const client of flood) client.write(half);
    },
    'behind a large head in two pieces': async (flood) => {
      const [line = '', ...rest] = publishOf().split('Host: x\r\n');
      const begin = `${line}${fields}`;
      for (const client of flood) {
        const before = bytesRead();
        client.write(begin);
        await until(() => bytesRead() >= before + begin.length, 'the first piece has arrived');
        client.write(`Host: x\r\n${rest.join('')}${half}`);
      }
    },
  };
  for (const [how, send] of Object.entries(ways))
    it(`close the largest of their connections above 2 MiB, sent ${how}`, async () => {
      const [honest, other] = [connected(), connected('127.0.0.3')];
      const flood = Array.from({ length: 275 }, () => connected());
      honest.write(`${publishOf()}0\r\nX-A: `);
      other.write(publishOf() + half);
      await send(flood);
      // Each takes 17,060 bytes: 2 MiB are 122 of them.
      await until(() => flood.filter(isClosed).length >= 150, 'those beyond 2 MiB are closed');
      assert.ok(flood.filter(isClosed).length <= 155, 'no others are closed');
      const left = flood.filter((client) => !isClosed(client));
      for (const client of [honest, other, ...left]) client.write('a\r\n\r\n');
      await until(() => [honest, other, ...left].every(isPublished), 'those that are left are served');
      assert.ok(closedByService() >= 150, 'refusals are counted');
      const before = closedByService();
      for (const client of left) client.write(publishOf() + half);
      for (const client of left) client.write('a\r\n\r\n');
      const isPublishedTwice = ({ received }: TcpClient) => received.split('HTTP/1.1 200 ').length === 3;
      await until(() => left.every(isPublishedTwice), 'complete ones do not count');
      assert.equal(closedByService(), before);
    });

  it('are not the pieces of a body, however many and slow they are', async () => {
    const clients = Array.from({ length: 20 }, () => connected());
    const text = `{"topic":"a","payload":"${'x'.repeat(60_000)}"}`;
    const pieces = text.match(/.{1,126}/g)!;
    for (const client of clients) client.write(publishOf(pieces.slice(0, -1)));
    const [last] = pieces.slice(-1);
    for (const client of clients) client.write(`${last!.length.toString(16)}\r\n${last}\r\n0\r\n\r\n`);
    await until(() => clients.every(isPublished), 'all are served');
    assert.equal(closedByService(), 0);
  });
});
