import assert from 'node:assert/strict';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, type Socket } from 'socket.io';
import { ClientError, createClient, type Client, type ClientOptions } from '../../client/index.js';
import { Closing } from '../support/closing.js';
import { until } from '../support/wait.js';

/** What the library uses of a page; Node has none. */
const page = globalThis as { addEventListener?: unknown };

describe('[CLIENT] the client library, with a service that is strange or old', () => {
  const closing = new Closing();
  let http: HttpServer;
  let sockets: number;

  beforeEach(async () => {
    http = createServer();
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    sockets = 0;
    http.on('connection', () => sockets++);
  });
  afterEach(() => closing.close());

  /** A plain Socket.IO server. */
  function serve(connected: (socket: Socket) => void): void {
    const io = new Server(http);
    closing.add(() => io.close());
    io.on('connection', connected);
  }

  function clientOf(options: Partial<ClientOptions> = {}): Client {
    const client = createClient({
      url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
      token: 'any',
      reconnect: { baseDelayMs: 20, maxDelayMs: 50 },
      ...options,
    });
    closing.add(() => Promise.resolve(client.close()));
    return client;
  }

  const connected = { status: 'connected', details: { session_id: 's', topics: [] } };

  it('reports events that cannot be read, and goes on', async () => {
    const events = ['status', 'gap', 'message', 'direct', 'presence', 'error', 'token_expiring'];
    serve((socket) => {
      for (const event of events)
        for (const data of [null, undefined, 'text', 7, {}, { topic: null }]) socket.emit(event, data);
      socket.emit('status', { status: 'subscribed' });
      socket.emit('status', connected);
      socket.emit('direct', { id: 'a', epoch: 'e', sequence: 1, payload: 'readable' });
    });
    const client = clientOf({ token: () => 'any' });
    const errors = new Set<string>();
    const direct: unknown[] = [];
    client.on('direct', ({ payload }) => direct.push(payload));
    client.on('error', ({ code }) => errors.add(code));
    client.connect();
    await until(() => client.isConnected, 'connected');
    await until(() => direct.length > 0, 'the direct message that can be read');
    assert.deepEqual([[...errors], direct], [['internal'], ['readable']]);
  });

  it('rejects what is answered without an answer, and goes on', async () => {
    serve((socket) => {
      socket.onAny((_command, _body, ack: (...answer: unknown[]) => void) => ack(...answers.shift()!));
      socket.emit('status', connected);
    });
    const answers = [[], [null], ['text'], [{ ok: false, error: null }], [{ ok: true, n: 1 }]];
    const client = clientOf({ pingEveryMs: 0 }).connect();
    await until(() => client.isConnected, 'connected');
    for (let n = 0; n < 4; n++) await assert.rejects(client.request('any'), { code: 'internal' });
    assert.deepEqual(await client.request('any'), { n: 1 });
  });

  it('takes of an error only what an error has, and no time that is none', async () => {
    const members =
      '"__proto__": { "retryable": true }, "stack": "s", "retryable": true, "cause": 1, "docs": "javascript:1"';
    const error: unknown = JSON.parse(
      `{ "code": "forbidden", "message": "m", "retry_after_ms": "soon", "field": "topic", ${members} }`,
    );
    serve((socket) => {
      socket.onAny((_command, _body, ack: (answer: object) => void) => ack({ ok: false, error }));
      socket.emit('status', connected);
    });
    const client = clientOf({ pingEveryMs: 0 }).connect();
    await until(() => client.isConnected, 'connected');
    const thrown = await client.request('any').then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(thrown instanceof ClientError && thrown.stack?.includes('ClientError'));
    const { code, retryable, retryAfterMs, field, docs, cause } = thrown;
    assert.deepEqual(
      [code, retryable, retryAfterMs, field, docs, cause],
      ['forbidden', false, undefined, 'topic', 'docs/errors.md#forbidden', undefined],
    );
  });

  it('makes no connection for a page that was hidden while its token was on its way', async () => {
    const listeners = new Map<string, () => unknown>();
    page.addEventListener = (type: string, listener: () => unknown) => listeners.set(type, listener);
    closing.add(() => Promise.resolve(void delete page.addEventListener));
    serve((socket) => socket.emit('status', connected));
    const tokens: ((token: string) => void)[] = [];
    const client = clientOf({ token: () => new Promise((resolve) => tokens.push(resolve)) });
    client.connect();
    await until(() => tokens.length === 1, 'the token is asked for');
    listeners.get('pagehide')!();
    tokens.shift()!('any');
    // A connection of its own is made after everything that the client may have begun.
    await fetch(
      `http://127.0.0.1:${(http.address() as AddressInfo).port}/socket.io/?EIO=4&transport=polling`,
    );
    assert.deepEqual([client.state.state, sockets], ['waiting', 1]);
    listeners.get('pageshow')!();
    await until(() => tokens.length === 1, 'the token is asked for again');
    tokens.shift()!('any');
    await until(() => client.isConnected, 'connected');
  });
});
