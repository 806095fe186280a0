import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import express from 'express';
import WebSocket from 'ws';
import { RefusalError } from '../../server/index.js';
import type { Message } from '../../shared/message.js';
import { certificate } from '../support/certificate.js';
import { connectClient, emit } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { TestRedis } from '../support/redis.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

const refusal = (code: string) => (error: unknown) => error instanceof RefusalError && error.code === code;

for (const storage of ['memory', 'redis'] as const) {
  describe(`[EMBED] messages of the program, in ${storage}`, function () {
    this.timeout(60_000);
    let redis: TestRedis | undefined;
    let one: EmbeddedService;
    /** Another replica, where there can be one. */
    let two: EmbeddedService;
    const open: { close(): unknown }[] = [];

    before(async () => {
      if (storage === 'redis') redis = await TestRedis.start();
      const environment = redis === undefined ? {} : { REDIS_URL: redis.url };
      one = await startEmbedded({ ...environment, RTC_LIMITS_CONNECTION_RPS: '1' });
      two = redis === undefined ? one : await startEmbedded(environment);
    });
    afterEach(() => {
      for (const one of open.splice(0)) one.close();
    });
    after(async () => {
      await one?.service.close();
      if (two !== one) await two?.service.close();
      await redis?.stop();
    });
    const client = async (user: string) => {
      const socket = await connectClient(two.url, user);
      open.push(socket);
      return socket;
    };

    it('reach subscribers, from nobody or in the name of a user, with binary parts, without limits of rate', async () => {
      const socket = await client('ann');
      const got: Message[] = [];
      socket.on('message', (message: Message) => got.push(message));
      await emit(socket, 'subscribe', { topics: ['orders'] });
      const first = await one.service.publish('orders', { part: Buffer.from('abc') });
      assert.equal(first.durability, storage === 'memory' ? 'memory' : 'stored');
      for (let n = 0; n < 20; n++) await one.service.publish('orders', n, { sender: 'shop' });
      await until(() => got.length === 21, 'all are there');
      assert.deepEqual(got[0]!.payload, { part: Buffer.from('abc') });
      assert.deepEqual([got[0]!.sender, got[1]!.sender], [null, 'shop']);
      assert.deepEqual(
        [got[0]!.id, got[0]!.epoch, got[0]!.sequence],
        [first.id, first.epoch, first.sequence],
      );
    });

    it('are stored once for one key, and confirmed by subscribers', async () => {
      const socket = await client('ann');
      socket.on('message', (_message: Message, confirm?: () => void) => confirm?.());
      await emit(socket, 'subscribe', { topics: ['once'] });
      const first = await one.service.publish('once', 1, {
        key: 'k',
        confirm: 'delivered',
        timeoutMs: 10_000,
      });
      assert.equal(first.delivered, 1);
      const again = await one.service.publish('once', 1, { key: 'k' });
      assert.deepEqual([again.id, again.duplicate], [first.id, true]);
    });

    it('are refused with a code where a command of a client would be', async () => {
      await assert.rejects(one.service.publish('$no', 1), refusal('invalid_topic'));
      await assert.rejects(one.service.publish('big', 'x'.repeat(2_000_000)), refusal('message_too_large'));
      await assert.rejects(
        one.service.publish('f', () => {}),
        refusal('invalid_payload'),
      );
      await assert.rejects(
        one.service.subscribe('', () => {}),
        refusal('invalid_topic'),
      );
    });

    it('reach a user, now or later', async () => {
      const sent = await one.service.direct('later', { n: 1 });
      assert.deepEqual([sent.queued, sent.recipients], [true, 0]);
      const got: Message[] = [];
      const socket = await connectClient(two.url, 'later', {
        listen: (client) =>
          client.on('direct', (message: Message, confirm: () => void) => {
            confirm();
            got.push(message);
          }),
      });
      open.push(socket);
      await until(() => got.length > 0, 'it is delivered');
      assert.deepEqual([got[0]!.sender, got[0]!.payload], [null, { n: 1 }]);
    });

    it('are handed to the program in order, at its own pace, and from a position on', async () => {
      const before = await two.service.publish('jobs', 'before');
      const got: unknown[] = [];
      let isBusy = false;
      const subscription = await one.service.subscribe('jobs', async ({ payload }) => {
        assert.ok(!isBusy, 'one at a time');
        isBusy = true;
        await new Promise(setImmediate);
        got.push(payload);
        isBusy = false;
      });
      open.push(subscription);
      await Promise.all(Array.from({ length: 300 }, (_, n) => two.service.publish('jobs', n)));
      await until(() => got.length === 300, 'all are handed over');
      assert.deepEqual(got, [...Array(300).keys()]);
      subscription.close();
      await two.service.publish('jobs', 'after the end');
      const later: unknown[] = [];
      open.push(
        await one.service.subscribe('jobs', ({ payload }) => void later.push(payload), { since: before }),
      );
      await until(() => later.length === 301, 'all after the position are handed over');
      assert.deepEqual(later, [...got, 'after the end']);
      assert.equal(got.length, 300, 'nothing after the end of the first');
    });

    if (storage === 'redis') {
      it('are handed over without a gap through a restart of Redis that loses nothing, and with one if it loses all', async () => {
        const kept = await TestRedis.start('aof', ['--appendfsync', 'always']);
        const replica = await startEmbedded({ REDIS_URL: kept.url });
        try {
          const got: unknown[] = [];
          const gaps: object[] = [];
          const subscription = await replica.service.subscribe(
            'steady',
            ({ payload }) => void got.push(payload),
            {
              onGap: (gap) => void gaps.push(gap),
            },
          );
          const publishes = async (name: string) => {
            for (let n = 0; n < 5; n++) {
              for (;;) {
                const key = `${name}${n}`;
                const done = await replica.service.publish('steady', key, { key }).then(
                  () => true,
                  (error: RefusalError) => {
                    assert.ok(['unavailable', 'outcome_unknown'].includes(error.code), error.code);
                    return false;
                  },
                );
                if (done) break;
                await new Promise((resolve) => setTimeout(resolve, 100));
              }
            }
          };
          await publishes('a');
          await kept.signal('SIGKILL');
          await kept.run();
          await publishes('b');
          await until(() => got.length === 10, 'all ten are handed over', 20_000);
          assert.deepEqual(gaps, []);
          await kept.command('FLUSHALL');
          await publishes('c');
          await until(() => got.length === 15, 'all fifteen are handed over', 20_000);
          assert.equal(gaps.length, 1);
          subscription.close();
        } finally {
          await replica.service.close();
          await kept.stop();
        }
      });
    }
  });
}

describe('[EMBED] a program with its own server', function () {
  it('serves its routes and those of the service on one HTTP server, and the service closes it', async () => {
    const app = express();
    const http = createServer(app);
    app.get('/mine', (_request, response) => void response.send('mine'));
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const { service } = await startEmbedded({}, { http });
    app.use(service.app);
    app.use((_request, response) => void response.status(404).send('nothing of ours'));
    const { port } = http.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    try {
      assert.equal(await (await fetch(`${url}/mine`)).text(), 'mine');
      assert.equal((await fetch(`${url}/health`)).status, 200);
      assert.equal(await (await fetch(`${url}/other`)).text(), 'nothing of ours');
      assert.equal((await fetch(`${url}/api/publish`, { method: 'POST' })).status, 401);
      for (const transports of [['websocket'], ['polling']]) {
        const socket = await connectClient(url, 'ann', { transports });
        assert.equal((await emit(socket, 'ping', {})).ok, true);
        socket.close();
      }
    } finally {
      await service.close();
    }
    assert.equal(http.listening, false);
  });

  it('serves the routes that it adds to `service.app` before the start, and the service answers 404 to the rest', async () => {
    const { service, url } = await startEmbedded({}, {}, ({ app }) =>
      app.get('/mine', (_request, response) => void response.send('mine')),
    );
    try {
      assert.equal(await (await fetch(`${url}/mine`)).text(), 'mine');
      assert.equal((await fetch(`${url}/health`)).status, 200);
      assert.equal((await fetch(`${url}/other`)).status, 404);
    } finally {
      await service.close();
    }
  });

  it('serves both wires over TLS', async () => {
    const http = createTlsServer(certificate);
    const { service } = await startEmbedded({}, { http });
    const { port } = http.address() as AddressInfo;
    try {
      for (const transports of [['websocket'], ['polling']]) {
        const socket = await connectClient(`https://127.0.0.1:${port}`, 'ann', {
          transports,
          ca: certificate.cert,
        });
        assert.equal((await emit(socket, 'publish', { topic: 't', payload: 1 })).ok, true);
        socket.close();
      }
      const webSocket = new WebSocket(`wss://127.0.0.1:${port}/ws?token=${tokenOf('ann')}`, {
        ca: certificate.cert,
      });
      const frames: string[] = [];
      webSocket.on('message', (data: Buffer) => frames.push(data.toString()));
      await until(() => frames.some((frame) => frame.includes('connected')), 'the /ws client is connected');
      webSocket.terminate();
    } finally {
      await service.close();
    }
  });

  it('sets options of Socket.IO, but none that a setting of the service decides', async () => {
    const { service, url } = await startEmbedded(
      {},
      { socketIo: { serveClient: false, transports: ['websocket'] } },
    );
    try {
      assert.equal((await fetch(`${url}/socket.io/socket.io.js`)).status, 400);
      await assert.rejects(connectClient(url, 'ann', { transports: ['polling'] }));
      (await connectClient(url, 'ann', { transports: ['websocket'] })).close();
    } finally {
      await service.close();
    }
    await assert.rejects(
      startEmbedded({}, { socketIo: { pingInterval: 1 } as object }),
      /socketIo.pingInterval: is decided by the setting websocket.heartbeat_interval_secs/,
    );
  });
});
