import assert from 'node:assert/strict';
import type { Service } from '../../server/index.js';
import { connectClient, emit } from '../support/clients.js';
import { startEmbedded } from '../support/embedded-service.js';
import { PacketClient } from '../support/packet-client.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

describe('[WIRE] a client that leaves the namespace and joins it again on the same transport', () => {
  let service: Service;
  let url: string;
  let client: PacketClient;
  let id = 0;

  /**
   * Sends a command on the transport. Resolves to the packets that answer it, after a later command was
   * answered too.
   */
  const answersTo = async (command: string, request: object): Promise<string[]> => {
    const [asked, after] = [++id, ++id];
    client.send(`42${asked}${JSON.stringify([command, request])}`);
    await until(() => client.of(`43${asked}[`).length > 0, `${command} is answered`);
    client.send(`42${after}["ping",{}]`);
    await until(() => client.of(`43${after}[`).length > 0, 'the ping is answered');
    return client.of(`43${asked}[`);
  };
  const leave = async () => {
    client.send('41');
    await until(() => service.io.sockets.sockets.size === 0, 'the client has left');
  };
  /** The number of listeners of each event of the transport. */
  const listeners = (): [string, number][] => {
    const { clients } = service.io.engine as unknown as { clients: Record<string, NodeJS.EventEmitter> };
    const [transport] = Object.values(clients);
    return ['data', 'heartbeat', 'close', 'error'].map((event) => [event, transport!.listenerCount(event)]);
  };
  const expectOncePerCommand = async (topic: string) => {
    assert.equal((await answersTo('subscribe', { topics: [topic] })).length, 1);
    assert.equal((await answersTo('publish', { topic, payload: 'once' })).length, 1);
    const history = await answersTo('history', { topic });
    const { messages } = (JSON.parse(history[0]!.replace(/^43\d+/, '')) as [{ messages: unknown[] }])[0];
    assert.equal(messages.length, 1, 'stored once');
    await until(() => client.of('42["message"').length > 0, 'the message arrives');
    await answersTo('ping', {});
    assert.equal(client.of('42["message"').length, 1, 'delivered once');
  };

  beforeEach(async () => {
    ({ service, url } = await startEmbedded({ RTC_WEBSOCKET_MAX_CONNECTIONS_PER_USER: '1' }));
    client = await PacketClient.open(url);
  });
  afterEach(async () => {
    client.close();
    await service.close();
  });

  it('gets every command run once, and every message delivered once', async () => {
    await client.join('ann');
    await answersTo('publish', { topic: 'before', payload: 1 });
    for (let n = 0; n < 3; n++) {
      await leave();
      await client.join('ann');
    }
    await expectOncePerCommand('t');
  });

  it('leaves no listener, however often it joins', async () => {
    await client.join('ann');
    const once = listeners();
    for (let n = 0; n < 12; n++) {
      await leave();
      await client.join('ann');
    }
    assert.deepEqual(listeners(), once);
  });

  it('is connected again when it leaves and joins in one packet', async () => {
    await client.join('ann');
    client.send('41', PacketClient.joining('ann'));
    await until(() => client.of('42["status"').length === 2, 'it has joined again');
    assert.equal(service.io.sockets.sockets.size, 1);
    await expectOncePerCommand('t');
  });

  it('can be another user, and keeps its address', async () => {
    await client.join('ann');
    await leave();
    await client.join('bob');
    const headers = { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` };
    const response = await fetch(`${url}/admin/connections`, { headers });
    const { connections } = (await response.json()) as {
      connections: { user_id: string; address: string }[];
    };
    assert.deepEqual(
      connections.map((connection) => [connection.user_id, connection.address]),
      [['bob', '127.0.0.1']],
    );
  });

  it('is refused with a reason when it joins without leaving first', async () => {
    await client.join('ann');
    client.send(PacketClient.joining('ann'));
    await until(() => client.closeCode !== undefined, 'the transport is closed');
    assert.match(client.of('42["error"')[0]!, /"code":"conflict"/);
    assert.equal(client.of('42["status"').length, 1);
  });

  it('gets no command run after a disconnect, even though the transport is open', async () => {
    await client.join('ann');
    service.io.disconnectSockets();
    await until(() => client.of('41').length === 1, 'it is disconnected');
    client.send('420["publish",{"topic":"t","payload":"late"}]', '421["ping",{}]');
    await until(() => client.closeCode !== undefined, 'the transport is closed');
    assert.equal(client.of('43').length, 0);
    const reader = await connectClient(url, 'reader');
    const history = await emit(reader, 'history', { topic: 't' });
    assert.deepEqual(history['messages'], []);
    reader.disconnect();
  });
});
