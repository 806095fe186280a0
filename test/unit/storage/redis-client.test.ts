import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { destroy, newRedisClient, type RedisClient } from '../../../server/storage/redis/redis-client.js';
import { until } from '../../support/wait.js';

describe('A connection to Redis that is destroyed', () => {
  let server: Server;
  let accepted = 0;
  const open = new Set<Socket>();
  let onData: (socket: Socket) => void = () => {};

  beforeEach(async () => {
    accepted = 0;
    onData = () => {};
    server = createServer((socket) => {
      accepted++;
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => open.delete(socket));
      socket.on('data', () => onData(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });

  const newClient = (): RedisClient => {
    const { port } = server.address() as AddressInfo;
    const client = newRedisClient({ host: '127.0.0.1', port }, { password: 'secret' });
    client.on('error', () => {});
    return client;
  };
  /** `count` connections were opened, and none is left. */
  const isLeft = (count: number) => accepted >= count && open.size === 0;

  it('is closed when it was just being opened', async () => {
    const client = newClient();
    void client.connect().catch(() => {});
    destroy(client);
    await until(() => isLeft(1), 'the connection is closed');
    assert.equal(client.isReady, false);
  });

  it('is closed when it was just being opened again', async () => {
    // As a Redis that speaks TLS only: it ends the connection with the first command.
    onData = (socket) => socket.resetAndDestroy();
    const client = newClient();
    const again = new Promise((resolve) => client.once('reconnecting', resolve));
    void client.connect().catch(() => {});
    await again;
    onData = () => {};
    destroy(client);
    await until(() => isLeft(2), 'the connection is closed');
    assert.equal(client.isReady, false);
  });
});
