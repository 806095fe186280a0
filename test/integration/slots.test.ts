import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { connectClient, emit } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { PacketClient } from '../support/packet-client.js';
import { tokenOf } from '../support/replica.js';
import { TcpClient } from '../support/tcp-client.js';
import { until } from '../support/wait.js';

/** Whether a user can connect, and leave. */
async function canConnect(url: string, userId: string): Promise<boolean> {
  try {
    const client = await connectClient(url, userId);
    client.disconnect();
    return true;
  } catch {
    return false;
  }
}

describe('[LIMITS] a connection slot is released', function () {
  let embedded: EmbeddedService;
  beforeEach(async () => {
    embedded = await startEmbedded({
      LOG_LEVEL: 'off',
      RTC_WEBSOCKET_MAX_CONNECTIONS: '1',
      RTC_WEBSOCKET_MAX_CONNECTIONS_PER_ADDRESS: '1',
      NODE_ENV: 'test',
    });
  });
  afterEach(() => embedded.service.close());

  it('when an upgrade is refused, also if the client never closes its side', async () => {
    const client = new TcpClient(embedded.url);
    client.upgrade('/ws?token=wrong');
    await until(() => client.ended, 'the upgrade is refused');
    assert.match(client.received, /^HTTP\/1\.1 401 /);
    await until(() => canConnect(embedded.url, 'ann'), 'another client can connect');
    client.reset();
  });
});

describe('[LIMITS] the slot of a long-polling client that has stopped polling', function () {
  let embedded: EmbeddedService;
  beforeEach(async () => {
    embedded = await startEmbedded({
      LOG_LEVEL: 'off',
      RTC_WEBSOCKET_MAX_CONNECTIONS: '1',
      RTC_WEBSOCKET_CONNECT_TIMEOUT_SECS: '3',
    });
  });
  afterEach(() => embedded.service.close());

  it('is released soon after its time to join the main namespace is over', async () => {
    assert.equal((await fetch(`${embedded.url}/socket.io/?EIO=4&transport=polling`)).status, 200);
    assert.equal(await canConnect(embedded.url, 'ann'), false);
    await until(() => canConnect(embedded.url, 'ann'), 'another client can connect');
  });
});

describe('[LIMITS] the slot of a handshake that fails', function () {
  it('is not taken while another request of its connection is not answered, and the client may reset that', async () => {
    const { service, url } = await startEmbedded(
      {
        LOG_LEVEL: 'off',
        RTC_WEBSOCKET_MAX_CONNECTIONS: '1',
        RTC_WEBSOCKET_MAX_CONNECTIONS_PER_ADDRESS: '1',
        NODE_ENV: 'test',
      },
      {},
      // It never answers.
      ({ app }) => app.get('/slow', () => {}),
    );
    const client = new TcpClient(url);
    try {
      client.get('/slow');
      client.get('/socket.io/?EIO=4&transport=polling');
      await until(() => canConnect(url, 'ann'), 'another client can connect');
      client.reset();
      await until(() => canConnect(url, 'ann'), 'another client can connect');
    } finally {
      await service.close();
    }
  });
});

describe('[LIMITS] the slot of a user', function () {
  let embedded: EmbeddedService;
  let refusals = 0;
  before(async () => {
    embedded = await startEmbedded({ LOG_LEVEL: 'off', RTC_WEBSOCKET_MAX_CONNECTIONS_PER_USER: '1' });
    embedded.service.io.use((_socket, next) => {
      if (refusals-- > 0) next(new Error('refused by the embedding program'));
      else next();
    });
  });
  after(() => embedded.service.close());

  it('is released when a client that middleware of an embedding program refused tries again on its transport', async () => {
    refusals = 3;
    const client = await PacketClient.open(embedded.url);
    for (let refused = 1; refused <= 3; refused++) {
      client.send(PacketClient.joining('ann'));
      await until(() => client.of('44').length === refused, 'the client is refused');
    }
    assert.deepEqual(
      client.of('44').map((packet) => packet.includes('at_capacity')),
      [false, false, false],
    );
    await client.join('ann');
    assert.equal(await canConnect(embedded.url, 'ann'), false);
    client.send('41');
    await until(() => canConnect(embedded.url, 'ann'), 'the slot is released with the connection');
  });
});

describe('[WIRE] upgrades', function () {
  it('at /ws leave nothing behind that keeps the process alive', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    const { service, webSocketUrl } = await startEmbedded();
    const before = timers();
    const client = new WebSocket(`${webSocketUrl}?token=${tokenOf('ann')}`);
    await new Promise((resolve) => client.once('message', resolve));
    client.terminate();
    await until(() => service.io.of('/').sockets.size === 0, 'the client has left');
    await service.close();
    assert.ok(timers() <= before, process.getActiveResourcesInfo().join());
  });

  it('at /ws are refused with an answer while the replica is shutting down', async () => {
    let goOn = () => {};
    const held = new Promise<void>((resolve) => (goOn = resolve));
    let publishing = false;
    const onPublish = async () => {
      publishing = true;
      await held;
    };
    const { service, url } = await startEmbedded({ LOG_LEVEL: 'off' }, { hooks: { onPublish } });
    const publisher = await connectClient(url, 'ann');
    const published = emit(publisher, 'publish', { topic: 'news', payload: 1 });
    await until(() => publishing, 'the hook waits');
    const closed = service.close();
    const client = new TcpClient(url);
    client.upgrade(`/ws?token=${tokenOf('bob')}`);
    await until(() => client.ended, 'the upgrade is answered', 2000);
    assert.match(client.received, /^HTTP\/1\.1 503 [^]*"code":"shutting_down"/);
    goOn();
    assert.equal((await published).ok, true);
    await closed;
    publisher.disconnect();
    client.reset();
  });
});
