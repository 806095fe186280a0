import assert from 'node:assert/strict';
import type { Socket } from 'socket.io';
import { connectClient, JsonClient } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { resetBeforeAccepted } from '../support/reset-before-accepted.js';
import { TcpClient } from '../support/tcp-client.js';
import { until } from '../support/wait.js';

const pollingPath = '/socket.io/?EIO=4&transport=polling';

describe('[LIMITS] handshakes of one address', function () {
  let embedded: EmbeddedService | undefined;
  const open: TcpClient[] = [];
  const start = async (environment: NodeJS.ProcessEnv) => {
    embedded = await startEmbedded({ LOG_LEVEL: 'off', NODE_ENV: 'test', ...environment });
    return embedded;
  };
  /** A client whose address is told by a proxy on this machine. */
  const handshakeFrom = (address: string, path = pollingPath) => {
    const client = new TcpClient(embedded!.url);
    open.push(client);
    const headers = `X-Forwarded-For: ${address}\r\n`;
    if (path.startsWith('/ws')) client.upgrade(path, headers);
    else client.get(path, headers);
    return client;
  };
  const isAnswered = ({ received }: TcpClient) => received !== '';
  afterEach(async () => {
    for (const client of open.splice(0)) client.reset();
    await embedded?.service.close();
    embedded = undefined;
  });

  it('wait for each other, and not in the way of another address', async () => {
    await start({ RTC_WEBSOCKET_HANDSHAKES_PER_SEC: '2' });
    const flood = Array.from({ length: 12 }, () => handshakeFrom('203.0.113.1'));
    await until(() => flood.filter(isAnswered).length >= 2, 'the first are served at once');
    const other = handshakeFrom('203.0.113.2');
    await until(() => isAnswered(other), 'another address is served');
    assert.match(other.received, /^HTTP\/1\.1 200 /);
    assert.ok(flood.filter(isAnswered).length <= 8, 'before the rest of the flood');
  });

  it('take no turns from others if they are of /ws and have no valid token', async () => {
    await start({ RTC_WEBSOCKET_HANDSHAKES_PER_SEC: '1' });
    const flood = ['/ws', '/ws?token=wrong'].flatMap((path) =>
      Array.from({ length: 10 }, () => handshakeFrom('203.0.113.1', path)),
    );
    await until(() => flood.every(isAnswered), 'all are refused', 3000);
    for (const { received } of flood) assert.match(received, /^HTTP\/1\.1 401 /);
    const first = handshakeFrom('203.0.113.1');
    await until(() => isAnswered(first), 'the next one is served');
    assert.match(first.received, /^HTTP\/1\.1 200 /);
  });

  it('lock nobody out, also from several addresses: those that do not join make room', async () => {
    await start({ RTC_WEBSOCKET_MAX_UNJOINED: '4' });
    const flood = ['203.0.113.1', '203.0.113.2'].flatMap((address) => [
      handshakeFrom(address),
      handshakeFrom(address),
    ]);
    await until(() => flood.every(isAnswered), 'all are answered');
    const other = handshakeFrom('203.0.113.3');
    await until(() => isAnswered(other), 'another address is served', 5000);
    assert.match(other.received, /^HTTP\/1\.1 200 /);
  });

  it('take several places each until they have joined, if their heads are large', async () => {
    await start({ RTC_WEBSOCKET_MAX_UNJOINED: '8' });
    const large = `${pollingPath}&x=${'x'.repeat(9000)}`;
    const flood = Array.from({ length: 4 }, () => handshakeFrom('203.0.113.1', large));
    await until(() => flood.filter(isAnswered).length === 2, 'two have taken half of the places');
    const other = handshakeFrom('203.0.113.2');
    await until(() => isAnswered(other), 'another address is served');
    assert.equal(flood.filter(isAnswered).length, 2);
  });

  it('hold half of the places at most until they have joined', async () => {
    await start({ RTC_WEBSOCKET_MAX_CONNECTIONS: '6' });
    const flood = Array.from({ length: 10 }, () => handshakeFrom('203.0.113.1'));
    await until(() => flood.every(isAnswered), 'all are answered');
    const admitted = flood.filter(({ received }) => received.startsWith('HTTP/1.1 200'));
    assert.equal(admitted.length, 3);
    for (const client of flood)
      if (!admitted.includes(client))
        assert.match(client.received, /^HTTP\/1\.1 503 [^]*have not joined yet/);
    const clients = [];
    for (const user of ['ann', 'bob', 'cid'])
      clients.push(
        await connectClient(embedded!.url, user, { extraHeaders: { 'x-forwarded-for': '203.0.113.2' } }),
      );
    // Those who have joined do not count.
    assert.equal((await fetch(embedded!.url + pollingPath)).status, 503);
    for (const client of clients) client.disconnect();
  });

  const comeInTurns = async (sender: string, same: string, another: string) => {
    await start({ RTC_LIMITS_HTTP_BODIES_BYTES: '400000' });
    const large = Array.from({ length: 3 }, () => new TcpClient(embedded!.url));
    open.push(...large);
    for (const client of large) {
      client.upgrade('/socket.io/?EIO=4&transport=websocket', `X-Forwarded-For: ${sender}\r\n`);
      await until(() => isAnswered(client), 'it is answered');
      // The beginning of a frame of 60,000 bytes.
      client.writeBytes(`\x81\xfe\xea\x60${'x'.repeat(45_000)}`);
    }
    await until(() => large.some(({ ended, closed }) => ended || closed), 'one is closed');
    const begunAt = performance.now();
    const flood = Array.from({ length: 40 }, () => handshakeFrom(same));
    const other = handshakeFrom(another);
    await until(() => isAnswered(other), 'another address is served');
    await until(() => flood.filter(isAnswered).length >= 10, 'ten are served');
    assert.ok(performance.now() - begunAt >= 9 * 25, 'one after the other');
    await until(() => flood.every(isAnswered), 'all are served in the end');
    for (const { received } of flood) assert.match(received, /^HTTP\/1\.1 200 /);
  };

  it('come one after the other once more than its share of unfinished messages was thrown away, and others at once', () =>
    comeInTurns('203.0.113.1', '203.0.113.1', '203.0.113.2'));

  it('do so from one IPv6 network, too', () => comeInTurns('2001:db8::1', '2001:db8::2', '2001:db8:0:1::1'));

  it('are not limited on loopback in development', async () => {
    const limits = {
      RTC_WEBSOCKET_MAX_CONNECTIONS_PER_ADDRESS: '1',
      RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '1',
    };
    await start({ ...limits, NODE_ENV: 'development' });
    const clients = await Promise.all(
      ['ann', 'bob', 'cid'].map((user) => connectClient(embedded!.url, user)),
    );
    for (const client of clients) client.disconnect();
    const outside = [1, 2].map(() => handshakeFrom('203.0.113.1'));
    await until(() => outside.every(isAnswered), 'both are answered');
    assert.equal(outside.filter(({ received }) => received.startsWith('HTTP/1.1 200')).length, 1);
  });
});

describe('[LIMITS] a peer that sends X-Forwarded-For without being a trusted proxy', function () {
  const limits = {
    NODE_ENV: 'test',
    LOG_LEVEL: 'warn',
    RTC_SERVER_TRUSTED_PROXIES: '192.0.2.0/24',
    RTC_WEBSOCKET_MAX_CONNECTIONS_PER_ADDRESS: '1',
    RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '1',
  };
  const statuses = async (url: string) => {
    const seen: number[] = [];
    for (const user of ['198.51.100.1', '198.51.100.2', '198.51.100.3'])
      seen.push((await fetch(url + pollingPath, { headers: { 'x-forwarded-for': user } })).status);
    return seen;
  };

  it('is not limited by address, and the log says once which setting to set', async () => {
    const replica = await TestReplica.start(limits);
    try {
      assert.deepEqual(await statuses(replica.url), [200, 200, 200]);
      assert.equal(replica.output.split('X-Forwarded-For').length, 2);
      assert.match(replica.output, /"setting":"server\.trusted_proxies"/);
    } finally {
      await replica.end('SIGKILL');
    }
  });

  it('is limited like any other where the settings say so', async () => {
    const replica = await TestReplica.start({ ...limits, RTC_LIMITS_UNTRUSTED_FORWARDERS: 'limit' });
    try {
      assert.deepEqual((await statuses(replica.url)).slice(0, 2), [200, 503]);
    } finally {
      await replica.end('SIGKILL');
    }
  });
});

describe('[LIMITS] TCP connections of one address', function () {
  it('that were reset before they are accepted get no socket and no answer', async () => {
    const { service, url } = await startEmbedded({ LOG_LEVEL: 'off', NODE_ENV: 'test' });
    let accepted = 0;
    service.http.on('connection', () => accepted++);
    try {
      for (let n = 0; n < 2; n++) resetBeforeAccepted(Number(new URL(url).port));
      assert.equal((await fetch(`${url}/health/live`)).status, 200);
      assert.equal(accepted, 1);
    } finally {
      await service.close();
    }
  });

  it('are closed above twice its limit of connections', async () => {
    const { service, url } = await startEmbedded({
      LOG_LEVEL: 'off',
      NODE_ENV: 'test',
      RTC_SERVER_TRUSTED_PROXIES: '192.0.2.0/24',
      RTC_WEBSOCKET_MAX_CONNECTIONS_PER_ADDRESS: '2',
    });
    const clients: TcpClient[] = [];
    let sockets = 0;
    service.http.on('connection', () => sockets++);
    try {
      for (let n = 0; n < 6; n++) clients.push(new TcpClient(url));
      await until(
        () => clients.filter(({ ended, closed }) => ended || closed).length === 2,
        'two are closed',
      );
      assert.equal(service.metrics.document().rate_limit_stats.tcp, 2);
      assert.equal(sockets, 4, 'those that are closed get no socket');
      clients.find(({ ended, closed }) => !ended && !closed)!.reset();
      await until(
        async () => (await fetch(`${url}/health/live`).catch(() => undefined))?.ok === true,
        'one is free',
      );
    } finally {
      for (const client of clients) client.reset();
      await service.close();
    }
  });

  it('are closed above twice its rate of connects', async () => {
    const { service, url } = await startEmbedded({
      LOG_LEVEL: 'off',
      NODE_ENV: 'test',
      RTC_SERVER_TRUSTED_PROXIES: '192.0.2.0/24',
      RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '2',
    });
    const clients = Array.from({ length: 40 }, () => new TcpClient(url));
    try {
      await until(() => clients.some(({ ended, closed }) => ended || closed), 'some are closed');
      await until(
        async () => (await fetch(`${url}/health/live`).catch(() => undefined))?.ok === true,
        'later others are accepted',
      );
    } finally {
      for (const client of clients) client.reset();
      await service.close();
    }
  });

  it('are closed above a thousand that have not sent a request yet', async () => {
    const { service, url } = await startEmbedded({
      LOG_LEVEL: 'off',
      NODE_ENV: 'test',
      RTC_SERVER_TRUSTED_PROXIES: '192.0.2.0/24',
      RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '0',
    });
    const clients: TcpClient[] = [];
    try {
      for (let n = 0; n < 20; n++) {
        const asking = new TcpClient(url);
        clients.push(asking);
        asking.get('/health/live');
      }
      await until(() => clients.every(({ received }) => received !== ''), 'these are answered');
      for (let n = 0; n < 1010; n++) clients.push(new TcpClient(url));
      const { rate_limit_stats: counted } = service.metrics.document();
      assert.equal(counted.tcp, 0);
      await until(
        () => clients.filter(({ ended, closed }) => ended || closed).length === 10,
        'those above the limit are closed',
      );
      assert.ok(clients.slice(0, 20).every(({ ended, closed }) => !ended && !closed));
    } finally {
      for (const client of clients) client.reset();
      await service.close();
    }
  });

  const half = `GET /health/live HTTP/1.1\r\nHost: x\r\n${`X-A: ${'a'.repeat(140)}\r\n`.repeat(100)}X-Last: `;
  /** Clients of one address, of which the last one stays: what each of the others does is given. */
  const floodHeads = async (begin: (client: TcpClient) => Promise<void> | void) => {
    const { service, url } = await startEmbedded({
      LOG_LEVEL: 'off',
      NODE_ENV: 'test',
      RTC_SERVER_TRUSTED_PROXIES: '192.0.2.0/24',
      RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '0',
    });
    const honest = new TcpClient(url);
    const [other, flood] = [new TcpClient(url, '127.0.0.3'), [] as TcpClient[]];
    const isClosed = ({ ended, closed }: TcpClient) => ended || closed;
    try {
      honest.write('GET /health/live HTTP/1.1\r\nHost: x\r\nX-A: ');
      other.write(half);
      for (let n = 0; n < 275; n++) {
        const client = new TcpClient(url);
        flood.push(client);
        await begin(client);
        client.write(half);
      }
      // Each takes 16,762 bytes or a little more: 2 MiB are 125 of them.
      await until(() => flood.filter(isClosed).length >= 150, 'those beyond 2 MiB are closed');
      assert.ok(flood.filter(isClosed).length <= 155, 'no others are closed');
      honest.write('a\r\n\r\n');
      await until(() => honest.received.startsWith('HTTP/1.1 200 '), 'a small one is not closed for it');
      other.write('a\r\n\r\n');
      await until(() => other.received.startsWith('HTTP/1.1 200 '), 'one of another address is not');
      const left = flood.filter((client) => !isClosed(client));
      const answersOf = ({ received }: TcpClient) => received.split('HTTP/1.1 200 ').length;
      const before = left.map(answersOf);
      for (const client of left) client.write('a\r\n\r\n');
      await until(
        () => left.every((client, n) => answersOf(client) === before[n]! + 1),
        'those that are left can be completed',
      );
      for (const client of left) client.write(half);
      await until(() => service.metrics.document().rate_limit_stats.tcp >= 150, 'refusals are counted');
      assert.ok(left.length >= 120 && !left.some(isClosed), 'complete ones do not count');
    } finally {
      for (const client of [honest, other, ...flood]) client.reset();
      await service.close();
    }
  };

  it('are closed when their unfinished heads hold more than 2 MiB, the largest head first', () =>
    floodHeads(() => {}));

  it('count as such without a request for a while when they were closed for their unfinished heads', async () => {
    const { service, url } = await startEmbedded({
      LOG_LEVEL: 'off',
      NODE_ENV: 'test',
      RTC_SERVER_TRUSTED_PROXIES: '192.0.2.0/24',
      RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '0',
    });
    const refused = () => service.metrics.document().rate_limit_stats.tcp;
    const flood = Array.from({ length: 275 }, () => new TcpClient(url));
    const silent: TcpClient[] = [];
    try {
      for (const client of flood) client.write(half);
      await until(() => refused() >= 150, 'some are closed for their heads');
      const closed = refused();
      const kept = flood.length - closed;
      for (let n = 0; n < 1000; n++) silent.push(new TcpClient(url));
      await until(() => refused() >= closed + kept + 4 * closed, 'a thousand are not kept or counted');
      assert.equal(silent.filter((client) => client.ended || client.closed).length, kept + 4 * closed);
    } finally {
      for (const client of [...flood, ...silent]) client.reset();
      await service.close();
    }
  });

  it('count as such without a request for a while when their body has not come a second after the answer', async () => {
    const { service, url } = await startEmbedded({
      LOG_LEVEL: 'off',
      NODE_ENV: 'test',
      RTC_SERVER_TRUSTED_PROXIES: '192.0.2.0/24',
      RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '0',
    });
    const isClosed = ({ ended, closed }: TcpClient) => ended || closed;
    const flood = Array.from({ length: 20 }, () => new TcpClient(url));
    const silent: TcpClient[] = [];
    try {
      for (const client of flood) client.post('/api/publish', 2, '{');
      await until(() => flood.every(isClosed), 'they are closed');
      for (const { received } of flood) assert.match(received, /^HTTP\/1\.1 401 /);
      for (let n = 0; n < 1000; n++) silent.push(new TcpClient(url));
      await until(() => service.metrics.document().rate_limit_stats.tcp >= 80, 'a thousand are too many');
      await until(() => silent.filter(isClosed).length === 80, 'each of them counts for four');
    } finally {
      for (const client of [...flood, ...silent]) client.reset();
      await service.close();
    }
  });

  it('are closed for their unfinished heads after other requests too', () =>
    floodHeads(async (client) => {
      client.get('/health/live');
      await until(() => client.received !== '', 'it is answered');
    }));

  it('are closed for their unfinished heads after a request with an offer of another protocol too', () =>
    floodHeads(async (client) => {
      client.get(
        '/health/live',
        'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n',
      );
      await until(() => client.received !== '', 'it is answered');
    }));
});

describe('[AUTH] the token of a connection', function () {
  let embedded: EmbeddedService;
  before(async () => {
    embedded = await startEmbedded({ LOG_LEVEL: 'off' });
  });
  after(() => embedded.service.close());

  it('is seen by middleware and connection listeners, and leaves the handshake and the request after them', async () => {
    const { io } = embedded.service;
    const seen: string[] = [];
    const placesOf = (socket: {
      handshake: { auth: unknown; headers: object; query: object; url: string };
    }) => JSON.stringify(socket.handshake);
    io.use((socket, next) => {
      seen.push(placesOf(socket));
      next();
    });
    io.on('connection', (socket) => seen.push(placesOf(socket)));
    const token = tokenOf('ann');
    const ways = [
      { auth: { token, own: 'kept', positions: {} } },
      { auth: {}, extraHeaders: { authorization: `Bearer ${token}`, 'x-own': 'kept' } },
      { auth: {}, query: { token, own: 'kept' } },
      { auth: {}, protocols: ['rtc', `rtc.token.${token}`], query: { own: 'kept' } },
    ];
    for (const way of ways) {
      seen.length = 0;
      const client = await connectClient(embedded.url, 'ann', way);
      assert.equal(seen.length, 2);
      for (const text of seen) assert.ok(text.includes(token), text);
      const socket = io.of('/').sockets.get(client.id!)!;
      const { request, handshake } = socket;
      const { _query: query } = request as { _query?: object };
      const rest = JSON.stringify([handshake, request.url, request.headers, request.rawHeaders, query]);
      assert.ok(!rest.includes(token), rest);
      assert.ok(rest.includes('kept'));
      if (way.auth.token !== undefined)
        assert.deepEqual(handshake.auth, { own: 'kept', token: '[redacted]' });
      const remote = await io.fetchSockets();
      assert.ok(!JSON.stringify(remote.map((one) => one.handshake)).includes(token));
      client.disconnect();
    }
  });

  it('of a /ws client leaves its handshake and its request too', async () => {
    const client = new JsonClient(embedded.webSocketUrl, 'ann', '&own=kept');
    await until(() => client.of('Status').length === 1, 'it is connected');
    const [{ handshake, request }] = [...embedded.service.io.of('/').sockets.values()] as [Socket];
    const rest = JSON.stringify([handshake, request.url, request.headers, request.rawHeaders]);
    // The beginning of every JWT.
    assert.ok(!rest.includes('eyJ'), rest);
    assert.ok(rest.includes('own=kept'));
    client.close();
  });

  it('stays in the request while the program has namespaces of its own, which may authenticate by it', async () => {
    const { io } = embedded.service;
    const headers: (string | undefined)[] = [];
    io.of('/own').use((socket, next) => {
      headers.push(socket.handshake.headers.authorization);
      next();
    });
    const authorization = `Bearer ${tokenOf('ann')}`;
    const client = await connectClient(embedded.url, 'ann', { auth: {}, extraHeaders: { authorization } });
    const own = client.io.socket('/own', {});
    await until(() => own.connected, 'the other namespace is joined');
    assert.deepEqual(headers, [authorization]);
    assert.equal(io.of('/').sockets.get(client.id!)!.handshake.headers.authorization, 'Bearer [redacted]');
    client.disconnect();
    own.disconnect();
  });
});
