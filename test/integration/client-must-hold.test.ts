import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo } from 'node:net';
import { FaultProxy } from '../../bench/chaos/faults/fault-proxy.js';
import { ClientRig, has, patienceMs, publish } from '../support/client-rig.js';
import { Closing } from '../support/closing.js';
import { until } from '../support/wait.js';

describe('[CLIENT] the client library loses nothing silently', function () {
  this.timeout(90_000);
  const closing = new Closing();
  const rig = new ClientRig(closing);
  afterEach(() => closing.close());

  it('when the service restarts', async () => {
    const redis = await rig.redis();
    const replica = await rig.replica(redis.url);
    const reader = await rig.read(replica.port);
    const publisher = rig.client(replica.port);
    await publish(publisher, 1, 2);
    await has(reader, 2);
    await replica.end('SIGTERM');
    const queued = publish(publisher, 3);
    await replica.run();
    await queued;
    await publish(publisher, 4);
    await has(reader, 4);
    assert.deepEqual([reader.list, reader.losses], [[1, 2, 3, 4], []]);
  });

  it('when its replica is killed, and another one takes over', async () => {
    const redis = await rig.redis();
    const [a, b] = [await rig.replica(redis.url), await rig.replica(redis.url)];
    const path = await FaultProxy.start(a.port);
    closing.add(() => path.stop());
    const reader = await rig.read(path.port);
    const publisher = rig.client(b.port);
    await publish(publisher, 1);
    await has(reader, 1);
    path.retarget(b.port);
    await a.end('SIGKILL');
    await publish(publisher, 2, 3);
    await has(reader, 3);
    assert.deepEqual([reader.list, reader.losses], [[1, 2, 3], []]);
  });

  it('when a proxy cuts its connection in the midst of a frame, again and again', async () => {
    const replica = await rig.replica((await rig.redis()).url);
    let restBytes = Infinity;
    const proxy = createServer((near) => {
      const far = connect(replica.port, '127.0.0.1');
      near.pipe(far);
      far.on('data', (data: Buffer) => {
        near.write(data.subarray(0, restBytes));
        restBytes -= data.length;
        if (restBytes <= 0) {
          restBytes = Infinity;
          near.end();
          far.destroy();
        }
      });
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        one.on('error', () => {});
        one.on('close', () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    closing.add(() => new Promise((resolve) => proxy.close(resolve)));
    const reader = await rig.read((proxy.address() as AddressInfo).port);
    const publisher = rig.client(replica.port);
    const payloads = [3, 700, 20_000, 59_000].map((cutAfter) => ({ cutAfter, text: 'x'.repeat(60_000) }));
    for (const [i, payload] of payloads.entries()) {
      await until(() => reader.client.isConnected, 'connected', patienceMs);
      restBytes = payload.cutAfter;
      await publish(publisher, payload);
      await until(() => reader.list.length === i + 1, 'the message arrives', patienceMs);
    }
    assert.deepEqual([reader.list, reader.losses], [payloads, []]);
  });

  it('when the other end of its connection is there no more, and nobody has said so', async () => {
    const redis = await rig.redis();
    const [a, b] = [await rig.replica(redis.url), await rig.replica(redis.url)];
    const path = await FaultProxy.start(a.port);
    closing.add(() => path.stop());
    const reader = await rig.read(path.port);
    const writer = reader.client;
    await publish(writer, 1);
    await has(reader, 1);
    // The process is stopped: its connections stay open, and no byte comes any more.
    path.retarget(b.port);
    a.signal('SIGSTOP');
    closing.add(() => Promise.resolve(a.signal('SIGCONT')));
    await publish(writer, 2);
    await publish(rig.client(b.port), 3);
    await has(reader, 3);
    assert.deepEqual([reader.list, reader.losses], [[1, 2, 3], []]);
  });
});
