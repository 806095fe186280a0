import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { ok } from '../support/admin.js';
import { Crowd } from '../support/crowd.js';
import { startEmbedded } from '../support/embedded-service.js';
import type { TestReplica } from '../support/replica.js';
import { until } from '../support/wait.js';

describe('[P8] the drain of an embedded service', function () {
  const crowds: Crowd[] = [];
  const join = async (url: string) => {
    const crowd = await Crowd.connect(url, { json: 2, webSockets: 2, pollings: 2 });
    crowds.push(crowd);
    return crowd;
  };
  const start = (windowSecs: number, ...more: [options?: Parameters<typeof startEmbedded>[1]]) =>
    startEmbedded({ RTC_SERVER_DRAIN_WINDOW_SECS: String(windowSecs), LOG_LEVEL: 'off' }, ...more);

  afterEach(() => {
    for (const crowd of crowds.splice(0)) crowd.close();
  });

  it('moves every client, and leaves HTTP to the program until it closes the service', async () => {
    const { service, url } = await start(1);
    const crowd = await join(url);
    const reasons: string[] = [];
    service.io.on('connection', () => reasons.push('connected'));
    const [one, other] = await Promise.all([service.drain(), service.drain()]);
    assert.deepEqual(one, { moved: 6, forced: 0, remaining: 0 });
    assert.deepEqual(other, one);
    await until(() => crowd.ended === 6, 'every client knows');
    assert.deepEqual([...crowd.closeCodes], [1012, 1012]);
    assert.equal((await fetch(`${url}/health/live`)).status, 200);
    assert.equal((await fetch(`${url}/socket.io/?EIO=4&transport=polling`)).status, 503);
    assert.deepEqual(await service.stop(), { unfinished: [] });
    assert.deepEqual(reasons, []);
  });

  it('is the first part of close({ drain: true })', async () => {
    const { service, url } = await start(1);
    const crowd = await join(url);
    await service.close({ drain: true });
    assert.deepEqual(service.drainProgress, { moved: 6, forced: 0, remaining: 0 });
    await until(() => crowd.ended === 6, 'every client knows');
    assert.equal(service.http.listening, false);
  });

  it('is ended by close(), which closes the remaining clients at once', async () => {
    const { service, url } = await start(3600);
    const crowd = await join(url);
    const drained = service.drain();
    const closing = service.close({ drain: true });
    await Promise.all([service.close(), closing]);
    const { moved, forced, remaining } = await drained;
    assert.deepEqual([moved + forced, remaining], [6, 0]);
    await until(() => crowd.ended === 6, 'every client knows');
    assert.deepEqual([...new Set(crowd.closeCodes)], [1012]);
  });

  it('does nothing before the start and after the end', async () => {
    const { service } = await start(3600);
    await service.close();
    assert.deepEqual([(await service.drain()).remaining, service.drainProgress.forced], [0, 0]);
  });

  it('is left to the program where an operator asks for it; without a handler the service closes itself', async () => {
    let requests = 0;
    const asked = await start(1, { onDrainRequested: () => requests++ });
    const drain = async (url: string) => {
      const admin = { url } as TestReplica;
      const { replicas } = await ok(admin, 'GET', '/replicas');
      const [{ replica_id: id }] = replicas as [{ replica_id: string }];
      await ok(admin, 'POST', `/replicas/${id}/drain`);
    };
    await drain(asked.url);
    await until(() => requests === 1, 'the program is asked');
    assert.equal(asked.service.http.listening, true);
    await asked.service.close();
    const alone = await start(1);
    await drain(alone.url);
    await until(() => !alone.service.http.listening, 'it has closed itself');
  });

  it('closes what listeners of the program keep from leaving', async () => {
    const http = createServer();
    const { service, url } = await start(1, { http });
    service.io.on('connection', (socket) =>
      socket.once('disconnecting', () => {
        throw new Error('made to fail');
      }),
    );
    const crowd = await join(url);
    assert.deepEqual(await service.drain(), { moved: 6, forced: 0, remaining: 0 });
    await until(() => crowd.ended === 6, 'every client knows');
    const closed = once(http, 'close');
    await service.close();
    await closed;
  });
});
