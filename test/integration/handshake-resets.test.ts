import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { connectClient } from '../support/clients.js';
import { tokenOf } from '../support/replica.js';
import { seededRandom } from '../../bench/seeded-random.js';
import { TcpClient } from '../support/tcp-client.js';
import { until } from '../support/wait.js';

/** A text frame of a client, masked with zeroes. */
function frame(text: string): string {
  const length = Buffer.byteLength(text);
  const size = length < 126 ? [0x80 | length] : [0x80 | 126, length >> 8, length & 255];
  return Buffer.from([0x81, ...size, 0, 0, 0, 0]).toString('latin1') + text;
}

describe('[LIMITS] a client that goes away at any moment of its handshake', function () {
  let embedded: EmbeddedService;
  const uncaught: unknown[] = [];
  const onUncaught = (error: unknown) => uncaught.push(error);
  let others: NodeJS.UncaughtExceptionListener[];
  const capacity = 8;
  /** Waits within the steps of the pipeline, and in middleware of the program. */
  let pauseMs = () => 0;
  const pause = async () => {
    const ms = pauseMs();
    if (ms > 0) await sleep(ms);
  };

  before(async () => {
    embedded = await startEmbedded(
      {
        LOG_LEVEL: 'off',
        NODE_ENV: 'test',
        RTC_WEBSOCKET_MAX_CONNECTIONS: String(capacity),
        RTC_WEBSOCKET_MAX_CONNECTIONS_PER_ADDRESS: String(capacity),
        RTC_WEBSOCKET_MAX_UNJOINED: String(2 * capacity),
        RTC_WEBSOCKET_MAX_CONNECTIONS_PER_USER: '3',
        RTC_WEBSOCKET_HANDSHAKES_PER_SEC: '100',
        RTC_WEBSOCKET_CONNECT_TIMEOUT_SECS: '1',
        RTC_LIMITS_ADDRESS_CONNECTS_PER_SEC: '0',
      },
      { hooks: { onConnect: pause } },
    );
    embedded.service.io.engine.use(
      (_request: unknown, _response: unknown, next: () => void) => void pause().then(next),
    );
    embedded.service.io.use((socket, next) => {
      void pause().then(() => next(socket.handshake.auth['refuse'] === true ? new Error('no') : undefined));
    });
    others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', onUncaught);
  });
  after(async () => {
    process.off('uncaughtException', onUncaught);
    for (const listener of others) process.on('uncaughtException', listener);
    await embedded.service.close();
  });

  it('throws nothing, and leaves no slot of the replica, of its address or of its user', async () => {
    const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9));
    console.log(`      SEED=${seed}`);
    const randomBelow = seededRandom(seed);
    const random = () => randomBelow(2 ** 32) / 2 ** 32;
    const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!;
    pauseMs = () => (random() < 0.5 ? 0 : random() * 40);
    const user = () => `user-${Math.floor(random() * 3)}`;
    const joining = () =>
      `40${JSON.stringify({ token: tokenOf(user()), ...(random() < 0.3 && { refuse: true }) })}`;
    const begin: readonly ((client: TcpClient) => void)[] = [
      (client) => client.upgrade(`/ws?token=${tokenOf(user())}`),
      (client) => client.upgrade('/ws', `Authorization: Bearer ${tokenOf(user())}\r\n`),
      (client) => client.upgrade('/ws?token=wrong'),
      (client) => client.upgrade('/socket.io/?EIO=4&transport=websocket'),
      // The packet by which it joins comes with the upgrade.
      (client) => {
        client.upgrade('/socket.io/?EIO=4&transport=websocket');
        client.writeBytes(frame(joining()));
      },
      (client) => {
        client.upgrade('/socket.io/?EIO=4&transport=websocket');
        client.writeBytes(frame(joining()) + frame('41') + frame(joining()));
      },
      (client) => client.get('/socket.io/?EIO=4&transport=polling'),
      // Responses queue behind each other.
      (client) => {
        for (let n = 0; n < 3; n++) client.get('/socket.io/?EIO=4&transport=polling');
      },
      (client) => {
        client.get('/socket.io/?EIO=4&transport=polling');
        client.upgrade('/socket.io/?EIO=4&transport=websocket');
      },
      (client) => {
        client.get('/socket.io/?EIO=4&transport=polling');
        client.upgrade(`/ws?token=${tokenOf(user())}`);
      },
      (client) => client.get('/socket.io/?EIO=3&transport=polling'),
      (client) => client.upgrade('/socket.io/?EIO=4&transport=websocket&sid=nope'),
    ];
    for (let round = 0; round < 25; round++) {
      await Promise.all(
        Array.from({ length: 12 }, async () => {
          const client = new TcpClient(embedded.url);
          pick(begin)(client);
          const ms = random() * 60;
          if (ms > 4) await sleep(ms);
          if (random() < 0.4) {
            client.halfClose();
            await sleep(random() * 10);
          }
          client.reset();
        }),
      );
    }
    pauseMs = () => 0;
    assert.deepEqual(uncaught, []);
    // Every slot is free: as many clients as the limits allow can be connected at the same time.
    await until(() => embedded.service.io.engine.clientsCount === 0, 'all transports are closed', 15_000);
    await until(async () => {
      const connected: Socket[] = [];
      try {
        // One after the other: only half of the places are for clients of an address that have not joined.
        while (connected.length < capacity)
          connected.push(await connectClient(embedded.url, `user-${connected.length % 3}`));
      } catch {
        // Some are still taken.
      }
      for (const socket of connected) socket.disconnect();
      await until(() => embedded.service.io.engine.clientsCount === 0, 'they have left');
      return connected.length === capacity;
    }, 'all slots are free');
    assert.deepEqual(uncaught, []);
  });

  it('throws nothing if an upgrade waits behind an answer of long-polling on its connection', async () => {
    const waits = [0, 300];
    pauseMs = () => waits.shift() ?? 0;
    const client = new TcpClient(embedded.url);
    client.get('/socket.io/?EIO=4&transport=polling');
    client.upgrade('/socket.io/?EIO=4&transport=websocket');
    await until(() => client.received.startsWith('HTTP/1.1 200 '), 'the first is answered');
    assert.deepEqual(waits, [], 'the other one waits');
    const { http } = embedded.service;
    const connections = () =>
      new Promise<number>((resolve) => http.getConnections((_error, count) => resolve(count)));
    client.reset();
    await until(async () => (await connections()) === 0, 'the connection has closed');
    assert.deepEqual(uncaught, []);
  });
});
