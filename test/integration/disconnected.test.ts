import assert from 'node:assert/strict';
import { io as connectTo } from 'socket.io-client';
import { connectClient, emit, JsonClient } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { PacketClient } from '../support/packet-client.js';
import { tokenOf } from '../support/replica.js';
import { TcpClient } from '../support/tcp-client.js';
import { until } from '../support/wait.js';

const operator = { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` };
const publish = (payload: string, id = '') => `42${id}["publish",{"topic":"t","payload":"${payload}"}]`;

describe('[WIRE] a client that is disconnected', function () {
  let embedded: EmbeddedService;
  const start = async (environment: NodeJS.ProcessEnv = {}) => {
    embedded = await startEmbedded({ LOG_LEVEL: 'off', ...environment });
  };
  const transports = () => embedded.service.io.engine.clientsCount;
  const stored = async () => {
    const reader = await connectClient(embedded.url, 'reader');
    const { messages } = await emit(reader, 'history', { topic: 't' });
    reader.disconnect();
    return (messages as { payload: unknown }[]).map(({ payload }) => payload);
  };
  const admin = (path: string) =>
    fetch(`${embedded.url}/admin/${path}`, { method: 'POST', headers: operator, body: '{}' });
  /** A long-polling client that has joined, and its address. */
  const polling = async (userId: string) => {
    const opened = await fetch(`${embedded.url}/socket.io/?EIO=4&transport=polling`);
    const { sid } = JSON.parse((await opened.text()).slice(1)) as { sid: string };
    const url = `${embedded.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`;
    await fetch(url, { method: 'POST', body: PacketClient.joining(userId) });
    let text = '';
    while (!text.includes('"status"')) text += await (await fetch(url)).text();
    return url;
  };
  afterEach(() => embedded.service.close());

  it('by an operator, with a POST of long-polling under way, has nothing of it run', async () => {
    await start();
    const url = await polling('ann');
    const body = publish('late');
    const upload = new TcpClient(embedded.url);
    const { pathname, search } = new URL(url);
    upload.post(pathname + search, body.length, body.slice(0, 10));
    const { clients } = embedded.service.io.engine as unknown as {
      clients: Record<string, { transport: { dataReq?: object | null } }>;
    };
    await until(
      () => (Object.values(clients)[0]!.transport.dataReq ?? undefined) !== undefined,
      'the body has begun',
    );
    assert.equal((await admin('users/ann/disconnect')).status, 200);
    upload.write(body.slice(10));
    await until(() => transports() === 0, 'the transport is closed', 15_000);
    assert.deepEqual(await stored(), []);
    upload.reset();
  });

  it('has none of the packets run that arrive together with those for which it is disconnected', async () => {
    await start({ RTC_LIMITS_CONNECTION_RPS: '1', RTC_LIMITS_ABUSE_REFUSALS: '3' });
    const client = await PacketClient.open(embedded.url);
    await client.join('ann');
    client.send(...Array.from({ length: 50 }, (_, n) => publish(`n${n}`, String(n))), '40/own,', '41');
    await until(() => client.closeCode !== undefined, 'it is closed');
    assert.ok((await stored()).length <= 1);
    const json = new JsonClient(embedded.webSocketUrl, 'bob');
    await until(() => json.of('Status').length === 1, 'the JSON client is connected');
    for (let n = 0; n < 50; n++) json.send({ type: 'Broadcast', data: { topic: 't', payload: `j${n}` } });
    await until(() => json.webSocket.readyState === 3, 'the JSON client is closed');
    assert.ok((await stored()).length <= 2);
  });

  it('of /ws by the embedding program, has nothing more run, with a revoked token neither', async () => {
    await start();
    const json = new JsonClient(embedded.webSocketUrl, 'eve');
    await until(() => json.of('Status').length === 1, 'it is connected');
    embedded.service.io.disconnectSockets();
    json.send({ type: 'Broadcast', data: { topic: 't', payload: 'late' } });
    await until(() => json.webSocket.readyState === 3, 'the WebSocket is closed');
    assert.deepEqual(await stored(), []);
  });

  it('and reads nothing keeps its transport, and its slot, for a few seconds only', async () => {
    await start({ RTC_WEBSOCKET_MAX_CONNECTIONS: '2' });
    const client = await PacketClient.open(embedded.url);
    await client.join('ann');
    client.stall();
    const [socket] = embedded.service.io.of('/').sockets.values();
    // More than the kernel takes: the end waits behind it.
    for (let n = 0; n < 40; n++) socket!.emit('filler', 'x'.repeat(1_000_000));
    assert.equal((await admin('users/ann/disconnect')).status, 200);
    await until(() => transports() === 0, 'the transport is closed', 12_000);
    client.close();
  });

  describe('or has left the namespace', () => {
    it('keeps no slot of its user, and its transport is closed unless it joins again', async () => {
      await start({ RTC_WEBSOCKET_MAX_CONNECTIONS: '1', RTC_WEBSOCKET_MAX_CONNECTIONS_PER_USER: '1' });
      const client = await PacketClient.open(embedded.url);
      await client.join('ann');
      for (let n = 0; n < 3; n++) {
        client.send('41');
        await until(() => embedded.service.io.of('/').sockets.size === 0, 'it has left');
        await client.join('ann');
      }
      client.send('41');
      await until(() => client.closeCode !== undefined, 'the transport is closed');
      const next = await connectClient(embedded.url, 'ann');
      next.disconnect();
    });

    it('keeps its transport while it is in another namespace, until its token is revoked', async () => {
      await start();
      embedded.service.io.of('/own').on('connection', () => {});
      const client = connectTo(embedded.url, {
        forceNew: true,
        auth: { token: tokenOf('ann') },
        reconnection: false,
      });
      const own = client.io.socket('/own', {});
      own.connect();
      await until(() => own.connected && client.connected, 'both are joined');
      await until(() => embedded.service.io.of('/').sockets.size === 1, 'it is connected');
      client.disconnect();
      await until(() => embedded.service.io.of('/').sockets.size === 0, 'it has left');
      assert.equal((await admin('users/ann/revoke-tokens')).status, 200);
      await until(() => !own.connected, 'the transport is closed');
      assert.equal(transports(), 0);
    });
  });
});
