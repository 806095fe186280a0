import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { loadSettings, Service } from '../../server/index.js';
import { startEmbedded } from '../support/embedded-service.js';
import { Crowd } from '../support/crowd.js';
import { PacketClient } from '../support/packet-client.js';
import { secret } from '../support/replica.js';
import { freePort, until } from '../support/wait.js';

const settingsOf = (port: number, more: NodeJS.ProcessEnv = {}) =>
  loadSettings({ JWT_SECRET: secret, HOST: '127.0.0.1', PORT: String(port), LOG_LEVEL: 'off', ...more });

describe('[STOP] close() of an embedded service', () => {
  const crowds: Crowd[] = [];
  const join = async (url: string) => {
    const crowd = await Crowd.connect(url, { json: 1, webSockets: 1, pollings: 1 });
    crowds.push(crowd);
    return crowd;
  };

  afterEach(() => {
    for (const crowd of crowds.splice(0)) crowd.close();
  });

  it('resolves without a start, and twice', async () => {
    const service = new Service(settingsOf(0));
    await Promise.all([service.close(), service.close()]);
    await service.close();
    await assert.rejects(service.start(), { name: 'ServiceClosedError' });
  });

  it('ends a start that is under way', async () => {
    // Nothing listens there.
    const service = new Service(settingsOf(0, { REDIS_URL: `redis://127.0.0.1:${await freePort()}` }));
    const started = service.start();
    const refused = assert.rejects(started, { name: 'ServiceClosedError' });
    await service.close();
    await refused;
    assert.equal(service.http.listening, false);
  });

  it('is not needed after a failed start', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const service = new Service(settingsOf(port));
    await assert.rejects(service.start(), { code: 'EADDRINUSE' });
    assert.deepEqual(await service.stop(), { unfinished: [] });
    other.close();
  });

  it('resolves although a client does not answer its close frame', async () => {
    const { service, url } = await startEmbedded();
    const deaf = await PacketClient.open(url);
    await deaf.join('deaf');
    deaf.stall();
    assert.deepEqual(await service.stop(), { unfinished: [] });
    deaf.close();
  });

  it('tells every client, and resolves, although listeners of the program throw', async () => {
    const { service, url } = await startEmbedded({ LOG_LEVEL: 'off' });
    let thrown = 0;
    service.io.on('connection', (socket) =>
      socket.once('disconnecting', () => {
        thrown++;
        throw new Error('made to fail');
      }),
    );
    const crowd = await join(url);
    assert.deepEqual(await service.stop(), { unfinished: [] });
    await until(() => crowd.ended === 3, 'every client knows');
    assert.equal(thrown, 3);
    assert.deepEqual(crowd.closeCodes, [1012]);
  });

  it('names what hangs, and stops everything else', async () => {
    const { service, url } = await startEmbedded({
      LOG_LEVEL: 'off',
      RTC_SERVER_SHUTDOWN_TIMEOUT_MS: '3000',
    });
    // An adapter of a program.
    service.io.of('/').adapter.close = () => new Promise<void>(() => {});
    const crowd = await join(url);
    const { unfinished } = await service.stop();
    assert.deepEqual(unfinished, ['connections']);
    await until(() => crowd.ended === 3, 'every client knows');
    assert.equal(service.http.listening, false);
  });

  it('waits for onDisconnect, but not for ever', async () => {
    const left: string[] = [];
    const { service, url } = await startEmbedded(
      { RTC_ACTOR_SYSTEM_HOOK_TIMEOUT_MS: '200', LOG_LEVEL: 'off' },
      {
        hooks: {
          onDisconnect: async ({ userId }) => {
            if (userId.startsWith('json')) await new Promise(() => {});
            await new Promise((resolve) => setTimeout(resolve, 50));
            left.push(userId);
          },
        },
      },
    );
    await join(url);
    assert.deepEqual(await service.stop(), { unfinished: [] });
    assert.deepEqual(left.sort(), ['polling-0', 'websocket-0']);
  });
});
