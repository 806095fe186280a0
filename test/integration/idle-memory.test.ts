import assert from 'node:assert/strict';
import { Inspector } from '../../bench/inspector.js';
import { PacketClient } from '../support/packet-client.js';
import { TestReplica } from '../support/replica.js';
import { freePort, until } from '../support/wait.js';

/** Connections of one measurement, and those before it, so that all code is compiled. */
const count = 500;
const warmUp = 500;
const groupSize = 20;
/** All have connected before the measurement begins: what belongs to users does not count. */
const userCount = 50;

/**
 * For each supported line of Node, in KiB: the heap of an idle connection with a session and a subscription at most, and what it releases at least
 * (the request with its headers, the handshake with the token, spare room of tables and lists). The heap includes code that is compiled meanwhile,
 * which is more on Node 24; there a request is a hash table.
 */
const bounds: Readonly<Record<string, { readonly heldKib: number; readonly releasedKib: number }>> = {
  20: { heldKib: 10, releasedKib: 3 },
  22: { heldKib: 10, releasedKib: 3 },
  24: { heldKib: 12, releasedKib: 4 },
};

async function connect(url: string, clients: number): Promise<PacketClient[]> {
  const connected: PacketClient[] = [];
  while (connected.length < clients) {
    const group = Array.from({ length: groupSize }, async () => {
      const client = await PacketClient.open(url);
      await client.join(`user-${connected.push(client) % userCount}`);
      client.send('420["subscribe",{"topics":["idle"]}]');
      await until(() => client.of('430').length > 0, 'the client is subscribed');
    });
    await Promise.all(group);
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
  // A thousand connections, twice.
  this.timeout(120_000);
  const line = process.versions.node.split('.')[0]!;

  it('is within its limit on this Node, and smaller than what the libraries leave', async () => {
    const bound = bounds[line];
    assert.ok(bound !== undefined, `what applies to Node ${line} is known`);
    const slim = await heapOfConnection({});
    const asMade = await heapOfConnection({ RTC_WEBSOCKET_SLIM_CONNECTIONS: 'off' });
    const figures = `${slim.toFixed(2)} KiB, ${asMade.toFixed(2)} KiB as made`;
    assert.ok(slim <= bound.heldKib, `at most ${bound.heldKib} KiB: ${figures}`);
    assert.ok(
      asMade - slim >= bound.releasedKib,
      `at least ${bound.releasedKib} KiB are released: ${figures}`,
    );
  });
});
