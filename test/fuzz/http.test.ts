import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import fc from 'fast-check';
import { until } from '../support/wait.js';
import { requestOf } from './commands.js';
import { corpus, fuzz, seed, timeLimitMs } from './fuzz-plan.js';
import { anyJson, anyText, damaged, jsonNumber, jsonText, objectOf, utf8, weighted } from './generators.js';
import { assertAllowedStatus, ServiceUnderFuzz } from './service-under-fuzz.js';
import { expiredToken, tokenOf } from './tokens.js';

/** One request, with a body of one byte per character. */
interface HttpInput {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An operation as the OpenAPI document of the service describes it. */
interface Operation {
  readonly method: string;
  readonly path: string;
  readonly query: readonly { readonly name: string; readonly schema: Schema }[];
  readonly body: Schema | undefined;
}

interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

interface OpenApi {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly parameters?: readonly {
              readonly name: string;
              readonly in: string;
              readonly schema: Schema;
            }[];
            readonly requestBody?: {
              readonly content: { readonly 'application/json': { readonly schema: Schema } };
            };
          }
        >
      >
    >
  >;
}

/** Text that is valid by a schema, mostly. */
function jsonOf(schema: Schema, depth = 0): fc.Arbitrary<string> {
  const valid = (): fc.Arbitrary<string> => {
    if (depth > 4) return anyJson;
    if (schema.enum !== undefined)
      return fc.constantFrom(...schema.enum.map((value) => JSON.stringify(value)));
    if (schema.const !== undefined) return fc.constant(JSON.stringify(schema.const));
    if (schema.anyOf !== undefined && schema.anyOf.length > 0)
      return fc.oneof(...schema.anyOf.map((one) => jsonOf(one, depth + 1)));
    switch (schema.type) {
      case 'object':
        return objectOf(
          Object.fromEntries(
            Object.entries(schema.properties ?? {}).map(([name, one]) => [name, jsonOf(one, depth + 1)]),
          ),
        );
      case 'array':
        return fc
          .array(schema.items === undefined ? anyJson : jsonOf(schema.items, depth + 1), { maxLength: 3 })
          .map((items) => `[${items.join(',')}]`);
      case 'integer':
      case 'number':
        return jsonNumber;
      case 'boolean':
        return fc.constantFrom('true', 'false');
      default:
        return jsonText;
    }
  };
  return weighted([8, valid()], [1, anyJson]);
}

const urlText = weighted(
  [8, anyText.map((text) => encodeURIComponent(text.replace(/[\ud800-\udfff]/g, '').slice(0, 2000)))],
  [1, fc.constantFrom('%', '%zz', '%ff', '%00', '..', '%2e%2e', '', '//', 'a/b')],
);

const tokens = ['user', 'viewer', 'operator', 'admin', 'admin', 'admin'].map((role) =>
  tokenOf(`the-${role}`, [role]),
);
const authorization = weighted<Readonly<Record<string, string>>>(
  [12, fc.constantFrom(...tokens).map((token) => ({ authorization: `Bearer ${token}` }))],
  [2, fc.constant({})],
  [
    1,
    fc
      .constantFrom(
        `Bearer ${expiredToken('ann')}`,
        'Bearer',
        'Basic YTpi',
        `bearer  ${tokens[0]!}`,
        `Bearer ${'eyJ'.repeat(3000)}`,
      )
      .map((value) => ({ authorization: value })),
  ],
);
const sometimes = (name: string, ...values: readonly string[]) =>
  weighted<Readonly<Record<string, string>>>(
    [8, fc.constant({})],
    [1, fc.constantFrom(...values).map((value) => ({ [name]: value }))],
  );
const headers = fc
  .tuple(
    authorization,
    sometimes('content-encoding', 'gzip', 'br', 'x', 'identity', 'deflate'),
    sometimes(
      'content-type',
      'text/plain; charset=utf-7',
      'application/json; charset=utf-16',
      'multipart/form-data',
      '',
    ),
    sometimes('accept', 'text/plain', '*/*', 'x', 'text/html;q=x'),
    sometimes('idempotency-key', '', 'k', 'x'.repeat(300), '\xff'),
    sometimes('x-forwarded-for', '1.2.3.4', 'x', '::1, 2.3.4.5', ','.repeat(100)),
    sometimes('origin', 'null', 'https://x', '\xff'),
    sometimes('expect', '100-continue', '200-ok'),
  )
  .map((parts) => Object.assign({}, ...parts) as Record<string, string>);

function inputsOf(operations: readonly Operation[]): fc.Arbitrary<HttpInput> {
  const ordinary = fc.constantFrom(...operations).chain(({ method, path, query, body }) => {
    const names = path.match(/\{\w+\}/g) ?? [];
    const values = query.map(({ name, schema }) =>
      fc
        .tuple(fc.boolean(), jsonOf(schema))
        .map(([isGiven, value]) => (isGiven ? `${name}=${encodeURIComponent(plain(value))}` : '')),
    );
    return fc
      .record({
        method: weighted(
          [15, fc.constant(method)],
          [1, fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD')],
        ),
        parts: fc.array(urlText, { minLength: names.length, maxLength: names.length }),
        query: fc.tuple(...values),
        more: weighted(
          [9, fc.constant('')],
          [1, fc.tuple(urlText, urlText).map(([name, value]) => `${name}=${value}`)],
        ),
        headers,
        body: bodyOf(path, body),
      })
      .map(({ method: sent, parts, query: given, more, headers: sentHeaders, body: content }) => {
        const filled = names.reduce((whole, name, n) => whole.replace(name, () => parts[n] || 'x'), path);
        const search = [...given, more].filter((part) => part !== '').join('&');
        return {
          method: sent,
          path: search === '' ? filled : `${filled}?${search}`,
          headers: sentHeaders,
          ...(sent !== 'GET' && sent !== 'HEAD' && { body: content }),
        };
      });
  });
  return ordinary;
}

function bodyOf(path: string, schema: Schema | undefined): fc.Arbitrary<string> {
  const text =
    path === '/api/publish'
      ? requestOf('publish')
      : path === '/api/direct'
        ? requestOf('direct')
        : schema === undefined
          ? anyJson
          : jsonOf(schema);
  return weighted([6, text.map(utf8)], [1, damaged(text)]);
}

/** The text of a JSON string, without its quotes; of anything else, itself. Lone surrogates are left out. */
function plain(json: string): string {
  return json
    .replace(/^"|"$/g, '')
    .replace(/[\ud800-\udfff]/g, '')
    .slice(0, 2000);
}

const notInDocument: readonly Operation[] = [
  { method: 'POST', path: '/api/publish', query: [], body: undefined },
  { method: 'POST', path: '/api/direct', query: [], body: undefined },
  {
    method: 'GET',
    path: '/api/history',
    query: ['topic', 'limit', 'epoch', 'sequence'].map((name) => ({
      name,
      schema: { type: name === 'topic' ? 'string' : 'number' },
    })),
    body: undefined,
  },
  {
    method: 'GET',
    path: '/api/presence',
    query: [{ name: 'topic', schema: { type: 'string' } }],
    body: undefined,
  },
  {
    method: 'POST',
    path: '/api/auth/refresh',
    query: [],
    body: { type: 'object', properties: { refresh_token: { type: 'string' } } },
  },
  ...[
    '/metrics',
    '/health',
    '/health/live',
    '/health/ready',
    '/{any}',
    '/socket.io/{any}',
    '/ws',
    '/admin/{any}',
  ].map((path) => ({
    method: 'GET',
    path,
    query: [],
    body: undefined,
  })),
];

/** What is sent over one connection as it is: requests that follow each other, or no requests at all. */
const rawInputs = fc.array(
  weighted(
    [
      4,
      fc
        .tuple(
          fc.constantFrom('GET', 'POST', 'CONNECT', 'TRACE', 'X', 'PRI', 'get', ''),
          weighted(
            [
              3,
              fc.constantFrom(
                '/health/live',
                '/',
                '*',
                '//',
                '/ws',
                'http://x/health',
                '/%',
                '/socket.io/?EIO=4',
                '',
              ),
            ],
            [1, anyText],
          ),
          fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/9.9', 'x', ''),
          fc.array(
            fc.constantFrom(
              ...[
                'Host: x',
                'Host: y',
                'Connection: Upgrade',
                'Upgrade: websocket',
                'Upgrade: h2c',
                'Transfer-Encoding: chunked',
              ],
              ...[
                'Content-Length: 5',
                'Content-Length: 99999',
                'Content-Length: -1',
                'Content-Length: 5, 5',
                'Expect: 100-continue',
              ],
              ...[
                'Sec-WebSocket-Version: 99',
                'Sec-WebSocket-Key: x',
                'X: \xff\xfe',
                ' folded',
                'no colon',
                `Long: ${'a'.repeat(20_000)}`,
              ],
            ),
            { maxLength: 5 },
          ),
        )
        .map(([method, target, version, lines]) =>
          utf8(`${method} ${target} ${version}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`),
        ),
    ],
    [
      1,
      fc.constantFrom(
        '5\r\nhello\r\n0\r\n\r\n',
        'ffffffffffffffff\r\n',
        '-1\r\n',
        '{"a":1}',
        '\r\n\r\n',
        '\x16\x03\x01\x02\x00',
      ),
    ],
    [1, fc.string({ unit: 'binary', maxLength: 100 }).map(utf8)],
  ),
  { minLength: 1, maxLength: 5 },
);

describe(`[FUZZ] HTTP (seed ${seed})`, function () {
  const bounds = { inputs: 400, seconds: 8 };
  const rawBounds = { inputs: 150, seconds: 4 };
  this.timeout(timeLimitMs(bounds));
  const agent = new Agent({ keepAlive: true });
  let service: ServiceUnderFuzz;
  let operations: readonly Operation[];
  before(async () => {
    service = await ServiceUnderFuzz.start();
    const { paths } = await service.replica.json<OpenApi>('/admin/openapi.json', {
      headers: { authorization: `Bearer ${tokenOf('admin', ['admin'])}` },
    });
    operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { parameters = [], requestBody }]) => ({
        method: method.toUpperCase(),
        path,
        query: parameters.filter((one) => one.in === 'query'),
        body: requestBody?.content['application/json'].schema,
      })),
    );
    assert.ok(operations.length > 30);
  });
  after(() => agent.destroy());

  /** Undoes what fuzzed operators have switched. */
  async function switchBack(): Promise<void> {
    const authorization = `Bearer ${tokenOf('admin', ['admin'])}`;
    const change = (method: string, path: string, body?: object) =>
      fetch(`${service.replica.url}/admin${path}`, {
        method,
        headers: { authorization },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    await change('POST', '/emergency-mode', { mode: 'normal' });
    await change('POST', '/connections/enable-new', {});
    await change('DELETE', '/config/rate-limits');
    await change('DELETE', '/config/log');
  }

  /** Sends one request, which has to be answered. */
  async function ask({ method, path, headers: sent, body }: HttpInput): Promise<void> {
    const what = `${method} ${path.slice(0, 200)} ${body?.slice(0, 200) ?? ''}`;
    const length = body === undefined ? {} : { 'content-length': String(body.length) };
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), 15_000);
    try {
      const asked = request({
        host: '127.0.0.1',
        port: service.port,
        agent,
        method,
        path,
        signal: limit.signal,
        headers: { ...sent, ...length },
      });
      asked.end(body === undefined ? undefined : Buffer.from(body, 'latin1'));
      const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
      let text = '';
      response.setEncoding('utf8').on('data', (data: string) => (text += data));
      await once(response, 'end');
      assertAllowedStatus(
        response.statusCode ?? 0,
        response.rawHeaders.join(' '),
        `${what} → ${text.slice(0, 300)}`,
      );
      assert.doesNotMatch(text, /\n\s+at |node_modules|"code":"internal"/, `${what}: an answer with a stack`);
    } catch (error) {
      if (limit.signal.aborted) assert.fail(`no answer: ${what}`);
      // The service may close the connection after a body that it does not read.
      if (
        (error as NodeJS.ErrnoException).code !== 'ECONNRESET' &&
        (error as NodeJS.ErrnoException).code !== 'EPIPE'
      )
        throw error;
    } finally {
      clearTimeout(timer);
    }
    await service.check();
  }

  /** Sends bytes in pieces, and reads until there is nothing more to expect. */
  async function write(pieces: readonly string[]): Promise<void> {
    const socket = connect({ port: service.port, host: '127.0.0.1', noDelay: true });
    let received = '';
    let hasEnded = false;
    socket.on('data', (data: Buffer) => (received = (received + data.toString('latin1')).slice(-100_000)));
    socket.on('error', () => {});
    socket.on('close', () => (hasEnded = true));
    for (const piece of pieces) socket.write(piece, 'latin1');
    await until(() => hasEnded || received !== '', 'an answer', 50).catch(() => {});
    socket.destroy();
    for (const [, status = ''] of received.matchAll(/^HTTP\/1\.1 (\d{3})/gm))
      assertAllowedStatus(Number(status), received, 'a raw request');
    await service.check();
  }

  for (const [name, input] of corpus<HttpInput>('http'))
    it(`answers what has failed once: ${name}`, () => ask(input));
  for (const [name, input] of corpus<string[]>('http-raw'))
    it(`survives what has failed once: ${name}`, () => write(input));

  it('answers every request without a server error, and serves others meanwhile', async () => {
    await service.noteMemory();
    await fuzz('http', inputsOf([...operations, ...notInDocument, ...notInDocument]), bounds, ask);
  });

  it('survives any bytes', () => fuzz('http-raw', rawInputs, rawBounds, write));

  it('leaves nothing behind, and the process ends', async () => {
    await switchBack();
    await service.end();
  });
});
