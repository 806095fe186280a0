import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { io } from 'socket.io-client';
import { WebSocketServer } from 'ws';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { tokenOf } from '../support/replica.js';
import { TcpClient } from '../support/tcp-client.js';
import { until } from '../support/wait.js';

type Body = { error: { code: string; field?: string; message: string } };

describe('[HTTP] the edge', () => {
  let embedded: EmbeddedService;
  const clients: TcpClient[] = [];
  const origin = 'https://app.example';

  before(async () => {
    embedded = await startEmbedded({
      LOG_LEVEL: 'off',
      RTC_WEBSOCKET_ALLOWED_ORIGINS: 'https://App.Example:443/',
      RTC_LIMITS_HTTP_REQUESTS: '1000',
    });
  });
  after(() => embedded.service.close());
  afterEach(() => {
    for (const client of clients.splice(0)) client.reset();
  });

  const open = (url = embedded.url) => {
    const client = new TcpClient(url);
    clients.push(client);
    return client;
  };
  const authorization = `Bearer ${tokenOf('ann')}`;
  const ask = async (path: string, { headers, ...init }: RequestInit = {}) => {
    const response = await fetch(embedded.url + path, { ...init, headers: { authorization, ...headers } });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: (text === '' ? {} : JSON.parse(text)) as Body,
    };
  };

  describe('CORS of /api', () => {
    it('answers the preflight of an allowed origin', async () => {
      const { status, headers } = await ask('/api/publish', {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,idempotency-key',
        },
      });
      assert.deepEqual(
        [status, headers.get('access-control-allow-origin'), headers.get('access-control-allow-headers')],
        [204, origin, 'authorization,idempotency-key'],
      );
    });

    it('lets an allowed origin read refusals and the headers of limits', async () => {
      const response = await fetch(`${embedded.url}/api/history?topic=t`, { headers: { origin } });
      assert.equal(response.status, 401);
      assert.equal(response.headers.get('access-control-allow-origin'), origin);
      const exposed = response.headers.get('access-control-expose-headers') ?? '';
      for (const name of ['Retry-After', 'RateLimit', 'RateLimit-Policy'])
        assert.ok(exposed.includes(name), exposed);
      assert.match(response.headers.get('vary') ?? '', /origin/i);
    });

    it('gives other origins nothing', async () => {
      const { headers } = await ask('/api/history?topic=t', { headers: { origin: 'https://evil.example' } });
      assert.equal(headers.get('access-control-allow-origin'), null);
    });

    it('allows any origin without cookies if all may connect', async () => {
      const { service, url } = await startEmbedded({ LOG_LEVEL: 'off' });
      try {
        const { headers } = await fetch(`${url}/api/history?topic=t`, { headers: { origin } });
        assert.deepEqual(
          [headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials')],
          ['*', null],
        );
      } finally {
        await service.close();
      }
    });
  });

  it('refuses an origin by its name, and shows pages when to try a handshake again', async () => {
    const refused = await ask('/socket.io/?EIO=4&transport=polling', {
      headers: { origin: 'https://evil.example' },
    });
    assert.equal(refused.status, 403);
    assert.match(
      refused.body.error.message,
      /"https:\/\/evil\.example" is not among websocket\.allowed_origins/,
    );
    const { headers } = await fetch(`${embedded.url}/socket.io/?EIO=4&transport=polling`, {
      headers: { origin },
    });
    assert.match(headers.get('access-control-expose-headers') ?? '', /retry-after/i);
  });

  it('shows the code of a refused handshake to a stock client of long-polling', async () => {
    const socket = io(embedded.url, {
      transports: ['polling'],
      reconnection: false,
      forceNew: true,
      extraHeaders: { origin: 'https://evil.example' },
    });
    // It has to be read in the listener: then the client resets its request.
    const [status, code] = await new Promise<[number, string]>((resolve) =>
      socket.once('connect_error', (error) => {
        const { description, context } = error as unknown as {
          description: number;
          context: { responseText: string };
        };
        resolve([description, (JSON.parse(context.responseText) as Body).error.code]);
      }),
    );
    socket.close();
    assert.deepEqual([status, code], [403, 'forbidden']);
  });

  it('answers a method that a path does not take with 405 and Allow', async () => {
    for (const [method, path, allow] of [
      ['GET', '/api/publish', 'POST, OPTIONS'],
      ['PUT', '/api/direct', 'POST, OPTIONS'],
      ['POST', '/api/history', 'GET, HEAD, OPTIONS'],
      ['DELETE', '/api/presence', 'GET, HEAD, OPTIONS'],
      ['GET', '/api/auth/refresh', 'POST, OPTIONS'],
      ['POST', '/health', 'GET, HEAD, OPTIONS'],
      ['POST', '/health/ready', 'GET, HEAD, OPTIONS'],
      ['POST', '/metrics', 'GET, HEAD, OPTIONS'],
      ['PUT', '/admin/emergency-mode', 'GET, POST, HEAD, OPTIONS'],
      ['PUT', '/admin/connections/disable-new', 'POST, OPTIONS'],
    ] as const) {
      const { status, headers, body } = await ask(path, { method });
      assert.deepEqual(
        [status, headers.get('allow'), body.error.code],
        [405, allow, 'method_not_allowed'],
        path,
      );
    }
    const { status, headers } = await ask('/health', { method: 'OPTIONS' });
    assert.deepEqual([status, headers.get('allow')], [204, 'GET, HEAD, OPTIONS']);
    assert.equal((await ask('/health', { method: 'HEAD' })).status, 200);
  });

  it('names its way of authentication with every 401', async () => {
    const challenge = async (path: string, headers: Record<string, string> = {}) => {
      const response = await fetch(embedded.url + path, { headers });
      assert.equal(response.status, 401, path);
      return response.headers.get('www-authenticate');
    };
    const realm = 'Bearer realm="realtime-communication"';
    for (const path of ['/api/history?topic=t', '/admin/cluster']) {
      assert.equal(await challenge(path), realm);
      assert.equal(
        await challenge(path, { authorization: 'Bearer wrong' }),
        `${realm}, error="invalid_token"`,
      );
    }
    const client = open();
    client.upgrade('/ws');
    await until(() => client.ended || client.closed, 'the upgrade is refused');
    assert.match(client.received, /^HTTP\/1\.1 401 .*WWW-Authenticate: Bearer realm=/s);
  });

  it('answers /ws without an upgrade with 426', async () => {
    for (const path of ['/ws', '/ws/', '/ws?token=x']) {
      const { status, headers, body } = await ask(path);
      assert.deepEqual(
        [status, headers.get('upgrade'), body.error.code],
        [426, 'websocket', 'upgrade_required'],
      );
    }
  });

  it('refuses a WebSocket at an unknown path at once', async () => {
    const client = open();
    client.upgrade('/other');
    await until(() => client.ended || client.closed, 'it is refused', 5000);
    assert.match(client.received, /^HTTP\/1\.1 404 .*"code":"not_found"/s);
  });

  it('leaves unknown paths to a program that listens to upgrades itself', async () => {
    const { service, url } = await startEmbedded({ LOG_LEVEL: 'off' });
    const own = new WebSocketServer({ server: service.http, path: '/own' });
    try {
      const client = open(url);
      client.upgrade('/own');
      await until(() => client.received.startsWith('HTTP/1.1 101'), 'the program answers');
    } finally {
      own.close();
      await service.close();
    }
  });

  describe('an offer of another protocol', () => {
    const offer =
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n';

    it('is ignored: the request is served, and the connection goes on', async () => {
      const client = open();
      client.get('/health/live', offer);
      await until(() => client.received.includes('"ok"'), 'it is answered');
      assert.match(client.received, /^HTTP\/1\.1 200 /);
      client.received = '';
      client.get('/health/live', offer);
      await until(() => client.received.includes('"ok"'), 'the next one too');
    });

    it('is ignored with a body, in one piece or in two', async () => {
      const body = JSON.stringify({ topic: 'h2c', payload: 1 });
      const headers = `Authorization: ${authorization}\r\n${offer}`;
      for (const length of [body.length, 5]) {
        const client = open();
        client.post('/api/publish', body.length, body.slice(0, length), headers);
        if (length < body.length) {
          await until(() => client.received === '', 'nothing yet');
          client.write(body.slice(length));
        }
        await until(() => client.received.includes('"sequence"'), 'it is stored');
      }
    });

    it('is ignored for long-polling', async () => {
      const client = open();
      client.get('/socket.io/?EIO=4&transport=polling', offer);
      await until(() => client.received.includes('"sid"'), 'it is answered');
    });
  });

  it('takes an Idempotency-Key in quotes for the same key', async () => {
    const publish = async (key: string) => {
      const answer = await ask('/api/publish', {
        method: 'POST',
        headers: { 'idempotency-key': key },
        body: JSON.stringify({ topic: 'keyed', payload: 1 }),
      });
      return answer.body as unknown as { id: string };
    };
    assert.equal((await publish('"k-1"')).id, (await publish('k-1')).id);
  });

  it('lets no browser guess what an answer is, and no cache between keep what a token has opened', async () => {
    const kept: Readonly<Record<string, string>> = {
      '/health': 'no-store',
      '/health/live': 'no-store',
      '/metrics': 'no-store',
      '/api/history?topic=a': 'private, no-cache',
      '/api/openapi.json': 'private, no-cache',
      '/api/nothing': 'private, no-cache',
      '/admin/me': 'no-store',
      '/admin/nothing': 'no-store',
      '/admin/': 'no-cache',
    };
    for (const [path, cacheControl] of Object.entries(kept))
      for (const headers of [{ authorization }, {}]) {
        const response = await fetch(embedded.url + path, {
          headers: { accept: 'text/html,*/*', ...headers },
        });
        await response.arrayBuffer();
        const found = ['x-content-type-options', 'cache-control'].map((name) => response.headers.get(name));
        assert.deepEqual(found, ['nosniff', cacheControl], path);
      }
  });

  describe('a header that has one value and is there twice', () => {
    const other = `Bearer ${tokenOf('bob')}`;
    const twice = `Authorization: ${authorization}\r\nauthorization: ${other}\r\n`;
    const refused = (name: string) =>
      new RegExp(`^HTTP/1\\.1 400 .*"invalid_message".*${name} is there more than once`, 's');

    it('is refused on every way in, whichever of the two would be valid', async () => {
      const body = JSON.stringify({ topic: 'twice', payload: 1 });
      const requests: ((client: TcpClient) => void)[] = [
        (client) => client.post('/api/publish', body.length, body, twice),
        (client) => client.get('/api/history?topic=twice', twice),
        (client) => client.get('/admin/cluster', twice),
        (client) => client.upgrade('/ws', twice),
      ];
      for (const send of requests) {
        const client = open();
        send(client);
        await until(() => client.received.includes('\r\n\r\n{'), 'it is answered');
        assert.match(client.received, refused('Authorization'));
      }
    });

    it('is refused also as ?token= of /ws, and an empty one is none', async () => {
      const [ann, bob] = [authorization.slice('Bearer '.length), tokenOf('bob')];
      for (const query of [`token=${ann}&token=${bob}`, `token=&token=${ann}`]) {
        const client = open();
        client.upgrade(`/ws?${query}`, '');
        await until(() => client.received.includes('\r\n\r\n{'), 'it is answered');
        assert.match(client.received, refused('\\?token='));
      }
      const client = open();
      client.upgrade('/ws?token=', `Authorization: ${authorization}\r\n`);
      await until(() => client.received.includes('\r\n\r\n'), 'it is answered');
      assert.match(client.received, /^HTTP\/1\.1 101 /);
    });

    it('is refused to a Socket.IO client that has no other token', async () => {
      const client = open();
      client.get('/socket.io/?EIO=4&transport=polling', twice);
      await until(() => client.received.includes('"sid"'), 'it is open');
      const sid = /"sid":"([^"]+)"/.exec(client.received)![1]!;
      client.received = '';
      client.post(`/socket.io/?EIO=4&transport=polling&sid=${sid}`, 2, '40');
      await until(() => client.received.includes('ok'), 'the packet is taken');
      client.get(`/socket.io/?EIO=4&transport=polling&sid=${sid}`);
      await until(() => client.received.includes('44{'), 'it is answered');
      assert.match(client.received, /44\{.*Authorization is there more than once.*"invalid_message"/);
    });

    it('as an Idempotency-Key is not joined to one key, and stores nothing', async () => {
      const headers = (key: string) => `Authorization: ${authorization}\r\n${key}`;
      const body = JSON.stringify({ topic: 'twice.keyed', payload: 1 });
      for (const keys of [
        'Idempotency-Key: a\r\nIdempotency-Key: b\r\n',
        'Idempotency-Key: a\r\nidempotency-key: a\r\n',
        'Idempotency-Key: "a";x\r\nIdempotency-Key: "b"\r\n',
      ]) {
        const client = open();
        client.post('/api/publish', body.length, body, headers(keys));
        await until(() => client.received.includes('\r\n\r\n{'), 'it is answered');
        assert.match(client.received, refused('Idempotency-Key'));
      }
      const { body: history } = await ask('/api/history?topic=twice.keyed');
      assert.deepEqual((history as unknown as { messages: unknown[] }).messages, []);
    });
  });

  it('refuses half a position, an unknown parameter, and a number that is none', async () => {
    for (const [query, field] of [
      ['topic=t&sequence=3', 'epoch'],
      ['topic=t&epoch=abc', 'sequence'],
      ['topic=t&before_sequence=3', 'before_epoch'],
      ['topic=t&seqence=3', 'seqence'],
      ['topic=t&limit=ten', 'limit'],
      ['topic=t&limit=', 'limit'],
      ['topic=t&limit=1&limit=2', 'limit'],
      ['topic=t&epoch=e&sequence=1e3', 'sequence'],
    ] as const) {
      const { status, body } = await ask(`/api/history?${query}`);
      assert.deepEqual([status, body.error?.code, body.error?.field], [400, 'invalid_message', field], query);
    }
  });

  it('keeps an idle connection for longer than a balancer does, as set', async () => {
    const header = await new Promise<unknown>((resolve, reject) => {
      const request = httpRequest(
        `${embedded.url}/health/live`,
        { headers: { connection: 'keep-alive' } },
        (response) => {
          response.resume();
          resolve(response.headers['keep-alive']);
        },
      );
      request.on('error', reject).end();
    });
    assert.equal(header, 'timeout=75');
  });
});
