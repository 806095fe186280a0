import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import { connectClient, emit, JsonClient } from '../support/clients.js';
import { TestReplica } from '../support/replica.js';
import { until } from '../support/wait.js';

const limitBytes = 100_000;

describe('[P7] a frame above websocket.transport_limit_bytes', () => {
  let replica: TestReplica;
  const clients: { close(): unknown }[] = [];

  before(async () => {
    replica = await TestReplica.start({
      RTC_WEBSOCKET_TRANSPORT_LIMIT_BYTES: String(limitBytes),
      LOG_LEVEL: 'info',
    });
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });
  after(() => replica.end());

  type Line = Record<string, unknown>;
  const linesOf = (connectionId: unknown): Line[] =>
    replica.output
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Line)
      .filter((line) => line['connection_id'] === connectionId);
  const refusals = async () =>
    (await replica.json<{ refused: Record<string, number> }>('/metrics')).refused['message_too_large'] ?? 0;
  /** The connection is closed with one line that says why, and is counted. */
  const isNoted = async (connectionId: unknown, wire: string, refusedBefore: number) => {
    await until(
      () => linesOf(connectionId).some((line) => line['message'] === 'Connection closed'),
      'closed',
    );
    const noted = linesOf(connectionId).filter((line) => line['level'] === 'WARN');
    assert.deepEqual(
      noted.map((line) => [line['message'], line['user_id'], line['wire'], line['limit']]),
      [['Frame too large', 'ann', wire, limitBytes]],
    );
    assert.equal(await refusals(), refusedBefore + 1);
  };
  const opened = async () => {
    const client = new JsonClient(replica.webSocketUrl, 'ann');
    clients.push(client);
    await until(() => client.of('Status').length === 1, 'it is connected');
    const { connection_id: id } = client.of('Status')[0]!.data['details'] as { connection_id: string };
    return { client, id };
  };
  const closeOf = (client: JsonClient) =>
    new Promise<[code: number, reason: string]>((resolve) =>
      client.webSocket.once('close', (code, reason) => resolve([code, reason.toString()])),
    );

  for (const [title, bytes] of [
    ['just above it', limitBytes + 1],
    ['far above it', limitBytes * 50],
  ] as const) {
    it(`closes a /ws client with 1009 and the limit: ${title}`, async () => {
      const { client, id } = await opened();
      const before = await refusals();
      const closed = closeOf(client);
      client.webSocket.send('x'.repeat(bytes));
      assert.deepEqual(await closed, [1009, 'a frame may have at most 100000 bytes']);
      await isNoted(id, 'json', before);
    });
  }

  it('closes a Socket.IO client on WebSocket with 1009 and the limit', async () => {
    const socket = await connectClient(replica.url, 'ann');
    clients.push(socket);
    const { id } = socket;
    const before = await refusals();
    const description = new Promise<unknown>((resolve) =>
      socket.once('disconnect', (_reason: Socket.DisconnectReason, details) => resolve(details)),
    );
    socket.emit('publish', { topic: 'large', payload: 'x'.repeat(limitBytes) });
    const { context } = (await description) as { context: { code: number; reason: string } };
    assert.deepEqual([context.code, context.reason], [1009, 'a frame may have at most 100000 bytes']);
    await isNoted(id, 'socketio', before);
  });

  it('leaves the connection open when it is below it, and only the payload is too large', async () => {
    const { client } = await opened();
    client.send({ type: 'Broadcast', data: { topic: 'large', payload: 'x'.repeat(80_000) }, id: 1 });
    await until(() => client.of('Error').length === 1, 'it is answered');
    assert.equal(client.of('Error')[0]!.data['code'], 'message_too_large');
    const socket = await connectClient(replica.url, 'ann');
    clients.push(socket);
    const answer = await emit(socket, 'publish', { topic: 'large', payload: 'x'.repeat(80_000) });
    assert.equal(answer.error!.code, 'message_too_large');
    assert.equal((await emit(socket, 'ping', {})).ok, true);
  });
});
