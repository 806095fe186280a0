import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { tokenOf } from '../support/replica.js';
import { TcpClient } from '../support/tcp-client.js';
import { until } from '../support/wait.js';

const bearer = (userId: string, claims: object = {}) =>
  `Authorization: Bearer ${tokenOf(userId, claims)}\r\n`;

describe('[LIMITS] HTTP', function () {
  let embedded: EmbeddedService | undefined;
  const clients: TcpClient[] = [];
  const start = async (environment: NodeJS.ProcessEnv = {}) => {
    embedded = await startEmbedded({ LOG_LEVEL: 'off', ...environment });
    return embedded;
  };
  const open = (localAddress?: string) => {
    const client = new TcpClient(embedded!.url, localAddress);
    clients.push(client);
    return client;
  };
  const publish = (userId: string) =>
    fetch(`${embedded!.url}/api/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tokenOf(userId)}` },
      body: JSON.stringify({ topic: 'news', payload: 1 }),
    });
  const pollingPath = async () => {
    const opened = await fetch(`${embedded!.url}/socket.io/?EIO=4&transport=polling`);
    const { sid } = JSON.parse((await opened.text()).slice(1)) as { sid: string };
    return `/socket.io/?EIO=4&transport=polling&sid=${sid}`;
  };

  afterEach(async () => {
    for (const client of clients.splice(0)) client.reset();
    await embedded?.service.close();
    embedded = undefined;
  });

  it('answers a request without a token before its body has arrived, and reads the body no longer', async () => {
    await start();
    for (const path of [
      '/api/publish',
      '/api/direct',
      '/admin/connections/x/disconnect',
      '/admin/sessions/restore',
    ]) {
      const client = open();
      client.post(path, 900_000, `"${'a'.repeat(100_000)}`);
      await until(() => client.received.startsWith('HTTP/1.1 401 '), `${path} is answered`);
      assert.match(client.received, /"code":"unauthorized"/);
      await until(() => client.ended || client.closed, `${path} is closed`);
    }
  });

  it('reads no body of a path that takes none, or of a transport that there is not', async () => {
    await start();
    for (const [path, status] of [
      ['/nothing', 404],
      ['/health', 405],
      ['/socket.io/?EIO=4&transport=polling', 400],
      ['/socket.io/?EIO=4&transport=polling&sid=nope', 400],
    ] as const) {
      const client = open();
      client.post(path, 900_000, 'a'.repeat(100_000));
      await until(() => client.received.startsWith(`HTTP/1.1 ${status} `), `${path} is answered`);
      await until(() => client.ended || client.closed, `${path} is closed`);
    }
  });

  it('reads little of a large body after the answer, and lets the client read the answer', async () => {
    await start();
    for (const path of ['/api/publish', '/nothing', '/admin/emergency-mode']) {
      const accepted = once(embedded!.service.http, 'connection') as Promise<[Socket]>;
      const client = open();
      const [socket] = await accepted;
      client.post(path, 20_000_000, 'a'.repeat(100));
      await until(() => client.received.startsWith('HTTP/1.1 4'), `${path} is answered`);
      client.write('a'.repeat(19_000_000));
      await until(() => client.ended || client.closed, `${path} is closed`);
      assert.ok(socket.bytesRead < 6_000_000, `${path}: ${socket.bytesRead} bytes were read`);
    }
  });

  it('reads nothing more of refused bodies of a caller of whom much was thrown away, and lets the client read the answers', async () => {
    await start({ RTC_LIMITS_HTTP_BODIES_BYTES: '4000000' });
    const read: number[] = [];
    for (let n = 0; n < 3; n++) {
      const accepted = once(embedded!.service.http, 'connection') as Promise<[Socket]>;
      const client = open();
      const [socket] = await accepted;
      client.post('/api/publish', 20_000_000, 'a'.repeat(100));
      await until(() => client.received.startsWith('HTTP/1.1 4'), 'it is answered');
      client.write('a'.repeat(2_000_000));
      await until(() => client.ended || client.closed, 'it is closed');
      read.push(socket.bytesRead);
    }
    assert.ok(read[0]! > 900_000, `${read.join(', ')} bytes were read`);
    // One piece has to come before the rest is left unread.
    for (const bytes of read.slice(1)) assert.ok(bytes < 300_000, `${read.join(', ')} bytes were read`);
    assert.equal((await publish('ann')).status, 200);
  });

  it('keeps a connection waiting for room in the share of its address, but none of a proxy: its next request may be of another client', async () => {
    await start({
      RTC_LIMITS_HTTP_BODIES_BYTES: '400000',
      RTC_SERVER_TRUSTED_PROXIES: '["127.0.0.1"]',
    });
    const send = async (headers: string) => {
      const client = open();
      client.post('/api/publish', 300_000, 'a'.repeat(300_000), headers);
      client.get('/health/live');
      await until(() => client.received.startsWith('HTTP/1.1 401 '), 'it is answered');
      return client;
    };
    const direct = await send('');
    const forwarded = await send('X-Forwarded-For: 203.0.113.5\r\n');
    await until(
      () => forwarded.received.includes('HTTP/1.1 200 '),
      'the next request of the proxy is answered',
    );
    assert.equal(direct.ended || direct.closed || direct.received.includes('HTTP/1.1 200 '), false);
  });

  it('refuses a body that comes in very many pieces, whether it is read or not', async () => {
    await start();
    // Express writes the stack of what is thrown after the answer to standard error, unless the service handles it.
    const printed: unknown[] = [];
    const { error: print } = console;
    console.error = (...line) => printed.push(line);
    const heads = [
      ['/api/publish', bearer('ann')],
      // Routes take these for the same path.
      ['/API/publish', bearer('ann')],
      ['http://localhost/api/publish', bearer('ann')],
      ['/api/publish', ''],
      ['/api/auth/refresh', ''],
      ['/admin/sessions/restore', ''],
      [await pollingPath(), ''],
    ] as const;
    for (const [path, headers] of heads) {
      const client = open();
      client.write(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}Transfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(10_000)}`,
      );
      await until(() => client.ended || client.closed, `${path} is closed`);
      if (client.received.includes(' 401 ') || client.received === '') continue;
      assert.match(client.received, /^HTTP\/1\.1 413 [^]*"code":"message_too_large"[^]*pieces/, path);
    }
    console.error = print;
    assert.deepEqual(printed, []);
  });

  it('receives a body in many pieces of an honest size, and counts their memory for its caller', async () => {
    await start({ RTC_LIMITS_HTTP_BODIES_BYTES: '700000' });
    const post = (pieces: readonly string[]) => {
      const client = open();
      client.write(
        `POST /api/publish HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n${bearer('ann')}\r\n` +
          pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join(''),
      );
      return client;
    };
    const body = JSON.stringify({ topic: 'news', payload: 'x'.repeat(60_000) });
    const honest = post([...(body.match(/.{1,536}/g) ?? []), '']);
    await until(() => honest.received.startsWith('HTTP/1.1 200 '), 'it is stored');
    // Four hundred bytes, and 200 KB of objects around them: a quarter of the limit is the share of one caller.
    const small = post(Array.from({ length: 400 }, () => 'a'));
    await until(() => small.received.startsWith('HTTP/1.1 503 '), 'it is refused');
  });

  it('tells a caller with a token, too, that a body is too slow', async () => {
    await start({ RTC_SERVER_BODY_TIMEOUT_SECS: '1' });
    const api = open();
    api.post('/api/publish', 1000, '{"topic":', bearer('ann'));
    const refresh = open();
    refresh.post('/api/auth/refresh', 1000, '{');
    const polling = open();
    polling.post(await pollingPath(), 1000, '40');
    for (const client of [api, refresh, polling]) {
      await until(() => client.ended || client.closed, 'the connection is closed');
      assert.match(client.received, /^HTTP\/1\.1 408 [^]*"code":"timeout"/);
    }
  });

  it('refuses the unfinished bodies of one caller above a share, and receives those of others', async () => {
    await start({ RTC_LIMITS_HTTP_BODIES_BYTES: '400000' });
    const uploads = Array.from({ length: 5 }, () => {
      const client = open();
      client.post('/api/publish', 190_000, `"${'a'.repeat(60_000)}`, bearer('mallory'));
      return client;
    });
    const { metrics } = embedded!.service;
    await until(() => metrics.document().rate_limit_stats.bodies >= 4, 'the others are refused');
    assert.equal((await publish('ann')).status, 200);
    // They give back what they have held.
    for (const client of uploads) client.reset();
    await until(async () => (await publish('mallory')).status === 200, 'the caller is received again');
  });

  it('refuses unfinished bodies of one caller that are small and very many, and receives those of others', async () => {
    await start({ RTC_LIMITS_HTTP_BODIES_BYTES: '400000' });
    const uploads = Array.from({ length: 80 }, () => {
      const client = open();
      client.post('/api/publish', 2, '', bearer('mallory'));
      return client;
    });
    const answered = () => uploads.filter(({ received }) => received !== '').length;
    await until(() => answered() === 15, 'those beyond 65 are refused');
    for (const { received } of uploads)
      if (received !== '') assert.match(received, /^HTTP\/1\.1 503 [^]*"code":"at_capacity"/);
    assert.equal((await publish('ann')).status, 200);
    assert.equal((await publish('mallory')).status, 503);
    for (const client of uploads) client.reset();
    await until(async () => (await publish('mallory')).status === 200, 'the caller is received again');
  });

  it('counts the addresses of one IPv6 network, which one client can have all, as one caller', async () => {
    await start({ RTC_LIMITS_HTTP_BODIES_BYTES: '400000', RTC_SERVER_TRUSTED_PROXIES: '127.0.0.1' });
    const from = (address: string) => {
      const client = open();
      client.post('/api/auth/refresh', 2, '', `X-Forwarded-For: ${address}\r\n`);
      return client;
    };
    const uploads = Array.from({ length: 80 }, (_, n) => from(`2001:db8::${n.toString(16)}`));
    const answered = () => uploads.filter(({ received }) => received !== '').length;
    await until(() => answered() === 15, 'those beyond 65 are refused');
    const other = from('2001:db8:0:1::1');
    other.write('{}');
    await until(() => other.received.startsWith('HTTP/1.1 400 '), 'another network is served');
  });

  it('refuses bodies that are compressed or not UTF-8, whose size and content no limit would have seen', async () => {
    await start();
    const post = (headers: Record<string, string>, body: Buffer) =>
      fetch(`${embedded!.url}/api/publish`, {
        method: 'POST',
        headers: { authorization: `Bearer ${tokenOf('ann')}`, ...headers },
        body: new Uint8Array(body),
      });
    const text = JSON.stringify({ topic: 'news', payload: 1 });
    for (const answer of [
      await post({ 'content-encoding': 'gzip' }, gzipSync(text)),
      await post({ 'content-type': 'application/json; charset=utf-16le' }, Buffer.from(text, 'utf16le')),
    ]) {
      const { error } = (await answer.json()) as { error: { code: string } };
      assert.deepEqual([answer.status, error.code], [400, 'invalid_message']);
    }
    const plain = await post({ 'content-type': 'application/json; charset=UTF-8' }, Buffer.from(text));
    assert.equal(plain.status, 200);
  });

  it('answers a POST of long-polling once, also if it is too large and over the budget at the same time', async () => {
    const uncaught: unknown[] = [];
    const onUncaught = (error: unknown) => uncaught.push(error);
    process.on('uncaughtException', onUncaught);
    await start({ RTC_WEBSOCKET_MAX_JOIN_BYTES: '1000', RTC_LIMITS_HTTP_BODIES_BYTES: '4000' });
    const client = open();
    client.post(await pollingPath(), 900_000, `4${'a'.repeat(60_000)}`);
    await until(() => client.received.startsWith('HTTP/1.1 413 '), 'it is refused');
    client.write('a'.repeat(60_000));
    assert.equal((await publish('ann')).status, 200);
    process.off('uncaughtException', onUncaught);
    assert.deepEqual(uncaught, []);
    assert.equal(client.received.match(/HTTP\/1\.1/g)?.length, 1);
  });

  it('answers a request once, and throws nothing, if its body is too large and over the budget at the same time', async () => {
    const uncaught: unknown[] = [];
    const onUncaught = (error: unknown) => uncaught.push(error);
    process.on('uncaughtException', onUncaught);
    await start({ RTC_LIMITS_HTTP_BODIES_BYTES: '4000' });
    const client = open();
    client.post('/api/publish', 900_000, `"${'a'.repeat(60_000)}`, bearer('mallory'));
    await until(() => client.received.startsWith('HTTP/1.1 413 '), 'it is refused');
    client.write('a'.repeat(60_000));
    assert.equal((await publish('ann')).status, 200);
    process.off('uncaughtException', onUncaught);
    assert.deepEqual(uncaught, []);
    assert.equal(client.received.match(/HTTP\/1\.1/g)?.length, 1);
  });

  it('refuses unfinished POSTs of long-polling in the same way, with an answer', async () => {
    await start({ RTC_LIMITS_HTTP_BODIES_BYTES: '400000' });
    const uploads: TcpClient[] = [];
    for (let n = 0; n < 5; n++) {
      const client = open();
      client.post(await pollingPath(), 900_000, `4${'a'.repeat(60_000)}`);
      uploads.push(client);
    }
    await until(() => uploads.filter(({ received }) => received !== '').length >= 4, 'four are refused');
    for (const { received } of uploads)
      if (received !== '') assert.match(received, /^HTTP\/1\.1 503 [^]*"code":"at_capacity"/);
    assert.equal((await publish('ann')).status, 200);
    for (const client of uploads) client.reset();
    await until(() => embedded!.service.io.engine.clientsCount === 0, 'their transports are closed');
  });

  it('closes connections that send nothing, or half a head, and keeps one that is idle after a request', async () => {
    await start({ RTC_SERVER_HEADER_TIMEOUT_SECS: '1', RTC_SERVER_KEEP_ALIVE_SECS: '60' });
    const kept = open();
    kept.get('/health/live');
    const silent = [open(), open(), open()];
    silent[1]!.write('GET / HTTP/1.1\r\nHost: x\r\nX-A: a');
    silent[2]!.write(
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upg',
    );
    await until(() => silent.every((client) => client.ended || client.closed), 'they are closed');
    assert.match(kept.received, /^HTTP\/1\.1 200 [^]*Keep-Alive: timeout=60/);
    assert.equal(kept.ended, false);
    kept.get('/health/live');
    await until(() => kept.received.split('HTTP/1.1 200').length === 3, 'it is answered again');
  });

  it('refuses request headers that are too large with 431', async () => {
    await start({ RTC_SERVER_MAX_HEADER_BYTES: '8192' });
    const [small, large] = [open(), open()];
    small.get('/health/live', `X-A: ${'a'.repeat(7000)}\r\n`);
    large.get('/health/live', `X-A: ${'a'.repeat(9000)}\r\n`);
    await until(() => small.received.startsWith('HTTP/1.1 200 '), 'smaller ones are read');
    await until(() => large.received.startsWith('HTTP/1.1 431 '), 'larger ones are refused');
    await until(() => large.ended || large.closed, 'the connection is closed');
  });

  it('answers a few pipelined requests, and closes a connection with very many', async () => {
    await start();
    const few = open();
    const request = 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n';
    few.write(request.repeat(10));
    await until(() => few.received.split('HTTP/1.1 200').length === 11, 'ten are answered');
    let seen = 0;
    embedded!.service.http.prependListener('request', () => seen++);
    for (const expectation of ['', 'Expect: 100-continue\r\n', 'Expect: something\r\n']) {
      seen = 0;
      const many = open();
      many.write(`GET /metrics HTTP/1.1\r\nHost: x\r\n${expectation}\r\n`.repeat(500));
      await until(() => many.ended || many.closed, 'the connection is closed');
      assert.ok(many.received.split('HTTP/1.1 200').length <= 17, 'no more than 16 are answered');
      assert.ok(!many.received.includes('HTTP/1.1 417'));
      assert.equal(seen, 17, 'the rest is not even read');
    }
  });

  it('renders the metrics once for requests that wait for their turns at the same time', async () => {
    const { service } = await start();
    const { metrics } = service;
    let rendered = 0;
    const prometheus = metrics.prometheus.bind(metrics);
    Object.assign(metrics, { prometheus: () => (rendered++, prometheus()) });
    const many = Array.from({ length: 300 }, () => open());
    const answersOf = ({ received }: TcpClient) => received.split('HTTP/1.1 200').length - 1;
    for (const client of many) client.get('/health/live');
    await until(() => many.every((client) => answersOf(client) === 1), 'all are connected');
    for (const client of many) client.get('/metrics', 'Accept: text/plain\r\n');
    await until(() => many.every((client) => answersOf(client) === 2), 'all are answered');
    assert.ok(many.every(({ received }) => received.includes('rtc_active_connections')));
    assert.ok(rendered < 100, `${rendered} times`);
  });

  it('answers requests with odd targets and expectations like others', async () => {
    // In development there is a page at the root.
    await start({ RTC_SERVER_ENVIRONMENT: 'test' });
    const answers: Record<string, RegExp> = {
      'GET http:// HTTP/1.1\r\n': /^HTTP\/1\.1 404 [^]*"code":"not_found"/,
      'GET http://localhost HTTP/1.1\r\n': /^HTTP\/1\.1 404 [^]*"code":"not_found"/,
      'GET http://localhost/admin/cluster HTTP/1.1\r\n': /^HTTP\/1\.1 401 [^]*"code":"unauthorized"/,
      'GET /Admin/Cluster HTTP/1.1\r\n': /^HTTP\/1\.1 401 [^]*"code":"unauthorized"/,
      'OPTIONS * HTTP/1.1\r\n': /^HTTP\/1\.1 404 [^]*"code":"not_found"/,
      'GET /health/live HTTP/1.1\r\nExpect: something\r\n': /^HTTP\/1\.1 200 /,
      'POST /api/publish HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n':
        /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 401 /,
    };
    for (const [head, answer] of Object.entries(answers)) {
      const client = open();
      client.write(`${head}Host: localhost\r\n\r\n`);
      await until(
        () => client.received.replace(/^.* 100 Continue\r\n\r\n/, '') !== '',
        `${head} is answered`,
      );
      assert.match(client.received, answer, head);
    }
  });

  it('closes TCP connections above the limit of the replica at once, and counts them', async () => {
    await start({ RTC_SERVER_MAX_TCP_CONNECTIONS: '3' });
    const held = [open(), open(), open()];
    for (const client of held) client.get('/health/live');
    await until(() => held.every(({ received }) => received !== ''), 'three are answered');
    const fourth = open();
    await until(() => fourth.ended || fourth.closed, 'the fourth is closed');
    await until(() => embedded!.service.metrics.document().rate_limit_stats.tcp > 0, 'it is counted');
    held[0]!.reset();
    await until(
      async () => (await fetch(`${embedded!.url}/health/live`).catch(() => undefined))?.ok === true,
      'one is free',
    );
  });
});
