import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import {
  assertDocumented,
  OpenApiDocument,
  type Answered,
  type Operation,
  type Schema,
} from '../support/openapi.js';
import { tokenOf } from '../support/replica.js';

/** A layer of the router of express: a route, or a router below a path. */
interface Layer {
  readonly route?: { readonly path: string; readonly stack: readonly { readonly method?: string }[] };
  readonly handle: { readonly stack?: readonly Layer[] };
  match(path: string): boolean;
}

const admin = tokenOf('olga', { roles: ['admin'] });

describe('[HTTP] the OpenAPI documents', () => {
  let embedded: EmbeddedService;
  let api: OpenApiDocument;
  let operators: OpenApiDocument;

  before(async () => {
    embedded = await startEmbedded({
      LOG_LEVEL: 'off',
      RTC_LIMITS_HTTP_REQUESTS: '100000',
      RTC_LIMITS_ADMIN_REQUESTS: '100000',
    });
    const read = async (path: string) => {
      const { status, body } = await ask('get', path);
      assert.equal(status, 200);
      return new OpenApiDocument(body as OpenApiDocument['content']);
    };
    [api, operators] = [await read('/api/openapi.json'), await read('/admin/openapi.json')];
  });
  after(() => embedded.service.close());

  const ask = async (
    method: string,
    path: string,
    {
      body,
      token = admin,
      headers,
    }: { body?: unknown; token?: string; headers?: Record<string, string> } = {},
  ): Promise<Answered> => {
    const response = await fetch(embedded.url + path, {
      method: method.toUpperCase(),
      headers: { ...(token !== '' && { authorization: `Bearer ${token}` }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  const codeOf = ({ body }: Answered) => (body as { error?: { code: string } }).error?.code;
  const fieldOf = ({ body }: Answered) => (body as { error?: { field?: string } }).error?.field;

  /** The methods and paths that express serves below a path, as a document writes them. */
  const served = (below: string): string[] => {
    const { stack } = (
      embedded.service.app as unknown as { readonly router: { readonly stack: readonly Layer[] } }
    ).router;
    return stack
      .filter(
        ({ handle, match }, i) =>
          handle.stack !== undefined && match.call(stack[i], below) && !match.call(stack[i], '/'),
      )
      .flatMap(({ handle }) => handle.stack!)
      .flatMap(({ route }) =>
        (route?.stack ?? [])
          .filter(({ method }) => method !== undefined)
          .map(({ method }) => `${method} ${below}${route!.path.replace(/:(\w+)/g, '{$1}')}`),
      );
  };

  it('list exactly the routes that express serves', () => {
    for (const [document, below, least] of [
      [api, '/api', 6],
      [operators, '/admin', 40],
    ] as const) {
      const listed = document.operations.map(({ method, path }) => `${method} ${path}`);
      // A route may have several handlers.
      const routes = [...new Set(served(below))];
      assert.ok(routes.length >= least, routes.join('\n'));
      assert.deepEqual(listed.sort(), routes.sort());
    }
  });

  it('are well formed: references lead somewhere, paths name their parameters, ids are unique, patterns compile', () => {
    for (const document of [api, operators]) {
      const { openapi, info } = document.content as unknown as {
        openapi: string;
        info: { title: string; version: string };
      };
      assert.match(openapi, /^3\.1\.\d$/);
      assert.ok(info.title !== '' && info.version !== '');
      const ids = document.operations.map(({ operationId }) => operationId);
      assert.equal(new Set(ids).size, ids.length);
      for (const { path, parameters = [], responses, summary } of document.operations) {
        const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
        const declared = parameters.filter((one) => one.in === 'path');
        assert.deepEqual(declared.map(({ name }) => name).sort(), inPath.sort(), path);
        assert.ok(declared.every(({ required }) => required));
        assert.ok(summary !== '');
        assert.ok(responses['200'] !== undefined && responses['401'] !== undefined, path);
        for (const { description } of Object.values(responses)) assert.ok(description !== '');
      }
      eachSchema(document.resolved(document.content), ({ pattern }) => {
        // JSON Schema has the regular expressions of ECMAScript for Unicode.
        if (pattern !== undefined) new RegExp(pattern, 'u');
      });
    }
  });

  it('let every change take a reason, but for a document of sessions that is restored', () => {
    const without = operators.operations
      .filter(({ method, requestBody }) => {
        const schema = requestBody?.content['application/json'].schema;
        return method !== 'get' && schema?.properties?.['reason'] === undefined;
      })
      .map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual(without, ['post /admin/sessions/restore']);
  });

  it('are given to whoever has a valid token, and to nobody else', async () => {
    assert.equal((await ask('get', '/api/openapi.json', { token: tokenOf('ann') })).status, 200);
    const refused = await ask('get', '/api/openapi.json', { token: '' });
    assert.equal(codeOf(refused), 'unauthorized');
    assertDocumented(api.operation('get', '/api/openapi.json'), refused);
    assert.equal(codeOf(await ask('get', '/admin/openapi.json', { token: tokenOf('ann') })), 'forbidden');
  });

  /** A request made of the examples of the document. */
  const exampleOf = ({ path, parameters = [], requestBody }: Operation) => {
    const query = new URLSearchParams();
    const headers: Record<string, string> = {};
    for (const { in: place, name, example } of parameters) {
      if (example === undefined) continue;
      if (place === 'header') headers[name] = String(example);
      else query.set(name, String(example));
    }
    return {
      path: `${path}?${String(query)}`,
      headers,
      body: requestBody?.content['application/json'].example,
    };
  };
  const withToken = () => api.operations.filter(({ security }) => security === undefined);

  it('have examples that are accepted as they are, with answers as documented', async () => {
    for (const operation of withToken()) {
      const { path, ...rest } = exampleOf(operation);
      for (let time = 0; time < 2; time++) {
        const answer = await ask(operation.method, path, rest);
        assert.equal(answer.status, 200, `${operation.path}: ${JSON.stringify(answer.body)}`);
        assertDocumented(operation, answer);
      }
    }
    const traced = { topic: 'invoices', payload: 1, confirm: 'delivered', timeout_ms: 1, trace: true };
    assertDocumented(
      api.operation('post', '/api/publish'),
      await ask('post', '/api/publish', { body: traced }),
    );
    type Page = { messages: { sequence: number }[]; next: { before: { epoch: string; sequence: number } } };
    const pageOf = async (query: string) => {
      const page = await ask('get', `/api/history?topic=invoices&limit=1${query}`);
      assertDocumented(api.operation('get', '/api/history'), page);
      return page.body as Page;
    };
    const { messages, next } = await pageOf('');
    const { epoch, sequence } = next.before;
    const earlier = await pageOf(`&before_epoch=${epoch}&before_sequence=${sequence}`);
    assert.equal(earlier.messages[0]!.sequence, messages[0]!.sequence - 1);
    const first = await pageOf(`&epoch=${epoch}&sequence=0`);
    assert.equal(first.messages[0]!.sequence, 1);
  });

  it('describe the answer of a refresh', async () => {
    const issued = await ask('post', '/admin/tokens', { body: { user_id: 'ann' } });
    assertDocumented(operators.operation('post', '/admin/tokens'), issued);
    const { refresh_token: token } = issued.body as { refresh_token: string };
    const refresh = api.operation('post', '/api/auth/refresh');
    const pair = await ask('post', refresh.path, { body: { refresh_token: token }, token: '' });
    assert.equal(pair.status, 200);
    assertDocumented(refresh, pair);
    assertDocumented(refresh, await ask('post', refresh.path, { body: { refresh_token: 'x' }, token: '' }));
  });

  it('name the limits of every field and parameter that the service enforces', async () => {
    let looked = 0;
    for (const operation of withToken()) {
      const { path, body, headers } = exampleOf(operation);
      const refused = async (field: string, answer: Answered) => {
        assert.equal(
          answer.status,
          400,
          `${operation.path} accepts ${field}: ${JSON.stringify(answer.body)}`,
        );
        // `before_epoch` of an address is `before.epoch` in the request of the command.
        const named = fieldOf(answer)?.split('.').at(-1) ?? 'none';
        assert.ok(field.endsWith(named), `${operation.path} ${field}: the refusal names ${named}`);
        assertDocumented(operation, answer);
        looked++;
      };
      const { properties = {}, required = [] } =
        operation.requestBody?.content['application/json'].schema ?? {};
      for (const [name, schema] of Object.entries(properties)) {
        for (const wrong of outsideOf(schema))
          await refused(name, await ask(operation.method, path, { body: { ...body, [name]: wrong } }));
        if (!required.includes(name)) continue;
        const { [name]: _, ...rest } = body as Record<string, unknown>;
        await refused(name, await ask(operation.method, path, { body: rest, headers }));
      }
      if (body !== undefined)
        await refused('unknown', await ask('post', path, { body: { ...body, unknown: 1 } }));
      for (const { name, schema, in: place } of operation.parameters ?? []) {
        if (place !== 'query') continue;
        for (const wrong of outsideOf(schema)) {
          const url = new URL(path, embedded.url);
          url.searchParams.set(name, String(wrong));
          // A position has both parts.
          if (name.endsWith('epoch')) url.searchParams.set(name.replace('epoch', 'sequence'), '1');
          if (name.endsWith('sequence')) url.searchParams.set(name.replace('sequence', 'epoch'), 'e');
          await refused(name, await ask('get', url.pathname + url.search));
        }
      }
    }
    assert.ok(looked > 40, `${looked} requests`);
  });

  it('describe refusals: status, code, WWW-Authenticate, Retry-After', async () => {
    const publish = api.operation('post', '/api/publish');
    const { body } = exampleOf(publish);
    const codes: (string | undefined)[] = [];
    const check = async (asked: Parameters<typeof ask>[2]) => {
      const answer = await ask('post', '/api/publish', asked);
      assertDocumented(publish, answer);
      codes.push(codeOf(answer));
    };
    await check({ body, token: '' });
    await check({ body: '{' });
    await check({ body: '[]' });
    await check({ body: { topic: 't', payload: { $base64: 1 } } });
    await check({ body: { topic: 't', payload: 'x'.repeat(1_100_000) } });
    await check({ body, headers: { 'idempotency-key': '"open' } });
    await ask('post', '/admin/emergency-mode', { body: { mode: 'read_only' } });
    await check({ body });
    await ask('post', '/admin/emergency-mode', { body: { mode: 'normal' } });
    await ask('post', '/admin/topics/invoices/freeze');
    await check({ body });
    await ask('post', '/admin/topics/invoices/unfreeze');
    assert.deepEqual(codes, [
      'unauthorized',
      'invalid_json',
      'invalid_message',
      'invalid_payload',
      'message_too_large',
      'invalid_message',
      'read_only',
      'topic_frozen',
    ]);
  });

  it('describe the answer above the limit of requests', async () => {
    const { service, url } = await startEmbedded({ LOG_LEVEL: 'off', RTC_LIMITS_HTTP_REQUESTS: '1' });
    try {
      const history = () =>
        fetch(`${url}/api/history?topic=t`, { headers: { authorization: `Bearer ${admin}` } });
      assert.equal((await history()).status, 200);
      const { status, headers, ...response } = await history().then(async (answer) => ({
        status: answer.status,
        headers: answer.headers,
        body: await answer.json(),
      }));
      assert.equal(status, 429);
      assertDocumented(api.operation('get', '/api/history'), { status, headers, body: response.body });
      assert.ok(headers.has('retry-after') && headers.has('ratelimit'));
    } finally {
      await service.close();
    }
  });

  it('describe the answer to a body that comes too late', async () => {
    const { service, url } = await startEmbedded({ LOG_LEVEL: 'off', RTC_SERVER_BODY_TIMEOUT_SECS: '1' });
    try {
      const request = httpRequest(`${url}/api/publish`, {
        method: 'POST',
        headers: { authorization: `Bearer ${admin}`, 'content-length': 100 },
      });
      request.on('error', () => {});
      request.write('{');
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      const { statusCode: status = 0, headers } = response;
      assert.equal(status, 408);
      const entries = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
      const answer = { status, headers: new Headers(entries), body: await json(response) };
      assertDocumented(api.operation('post', '/api/publish'), answer);
      request.destroy();
    } finally {
      await service.close();
    }
  });

  it('mark exactly those bodies of operators as required without which a request is refused', async () => {
    let required = 0;
    for (const operation of operators.operations) {
      const { method, path, requestBody } = operation;
      if (method === 'get') continue;
      // One of two parameters is needed, whatever the body is.
      const query = path === '/admin/trace-rules' ? '?topic=x' : '';
      const answer = await ask(method, path.replace(/\{\w+\}/g, 'x') + query);
      assertDocumented(operation, answer);
      // Those parameters of the address that are needed are not given.
      if (requestBody === undefined) continue;
      const isRefused = answer.status === 400;
      assert.equal(requestBody.required, isRefused, `${method} ${path}: ${JSON.stringify(answer.body)}`);
      if (isRefused) required++;
    }
    assert.ok(required >= 8, `${required} are required`);
    await ask('post', '/admin/connections/enable-new');
    await ask('post', '/admin/presence/restore');
  });

  it('name the forms of all parameters in paths of operators', async () => {
    let looked = 0;
    for (const operation of operators.operations) {
      for (const { name, schema } of (operation.parameters ?? []).filter((one) => one.in === 'path')) {
        assert.ok(
          schema.pattern !== undefined && schema.maxLength !== undefined,
          `${operation.path} ${name}`,
        );
        for (const wrong of outsideOf(schema).filter((value) => value !== '' && typeof value === 'string')) {
          const path = operation.path.replace(`{${name}}`, encodeURIComponent(String(wrong)));
          const answer = await ask(operation.method, path);
          assert.equal(answer.status, 400, `${operation.method} ${path}: ${JSON.stringify(answer.body)}`);
          assertDocumented(operation, answer);
          looked++;
        }
      }
    }
    assert.ok(looked >= 30, `${looked} requests`);
  });
});

/** Values that a schema does not allow, each for another reason. */
function outsideOf({
  type,
  enum: values,
  pattern,
  minLength,
  maxLength,
  minimum,
  maximum,
}: Schema): unknown[] {
  const outside: unknown[] = [];
  if (minLength !== undefined && minLength > 0) outside.push('');
  if (maxLength !== undefined) outside.push('a'.repeat(maxLength + 1));
  if (pattern !== undefined) {
    const control = 'a\u0001b';
    assert.doesNotMatch(control, new RegExp(pattern, 'u'));
    outside.push(control);
  }
  if (values !== undefined) outside.push('other');
  if (minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER) outside.push(minimum - 1);
  if (maximum !== undefined) outside.push(maximum + 1);
  if (type === 'integer') outside.push(1.5);
  if (type === 'boolean') outside.push('yes');
  return outside;
}

/** Calls a function for every part of a document that may be a schema. */
function eachSchema(part: unknown, look: (schema: Schema) => void): void {
  if (typeof part !== 'object' || part === null) return;
  if (!Array.isArray(part) && 'type' in part) look(part as Schema);
  for (const inner of Object.values(part)) eachSchema(inner, look);
}
