import assert from 'node:assert/strict';
import { Inspector } from '../../bench/inspector.js';
import { PacketClient } from '../support/packet-client.js';
import { TestReplica } from '../support/replica.js';
import { freePort } from '../support/wait.js';

/** Connections of one measurement, and those before it, so that all code is compiled. */
const count = 500;
const warmUp = 100;

/** Heap of an idle connection with a session and a subscription at most, in KiB, for each supported line of Node. */
const limits: Readonly<Record<string, number>> = { 20: 99, 22: 99, 24: 99 };

/** What is released at least, in KiB: the request with its headers, the handshake with the token, spare room of tables and lists. */
const releasedAtLeast = 3;

async function connect(url: string, clients: number): Promise<PacketClient[]> {
  const connected: PacketClient[] = [];
  for (let n = 0; n < clients; n++) {
    const client = await PacketClient.open(url);
    connected.push(client);
    await client.join(`user-${n}`);
    client.send('420["subscribe",{"topics":["idle"]}]');
  }
  return connected;
}

/** Heap of an idle connection, in KiB. */
async function heapOfConnection(environment: NodeJS.ProcessEnv): Promise<number> {
  const port = await freePort();
  const replica = await TestReplica.start({
    ...environment,
    NODE_OPTIONS: `--inspect=127.0.0.1:${port}`,
    RTC_WEBSOCKET_MAX_CONNECTIONS_PER_ADDRESS: '0',
    RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '0',
  });
  const inspector = await Inspector.connect(port);
  const heap = async () => {
    await inspector.collectGarbage();
    return inspector.heapBytes();
  };
  const clients = await connect(replica.url, warmUp);
  const before = await heap();
  clients.push(...(await connect(replica.url, count)));
  const after = await heap();
  inspector.close();
  for (const client of clients) client.close();
  await replica.end();
  return (after - before) / count / 1024;
}

describe('the memory of an idle connection', function () {
  const line = process.versions.node.split('.')[0]!;

  it('is within the limit of this Node, and smaller than what the libraries leave', async () => {
    const limit = limits[line];
    assert.ok(limit !== undefined, `Node ${line} has a limit here`);
    const slim = await heapOfConnection({});
    const asMade = await heapOfConnection({ RTC_WEBSOCKET_SLIM_CONNECTIONS: 'off' });
    const figures = `${slim.toFixed(2)} KiB, ${asMade.toFixed(2)} KiB as made`;
    assert.ok(slim <= limit, `at most ${limit} KiB on Node ${line}: ${figures}`);
    assert.ok(asMade - slim >= releasedAtLeast, `at least ${releasedAtLeast} KiB are released: ${figures}`);
  });
});
