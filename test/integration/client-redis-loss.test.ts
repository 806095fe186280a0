import assert from 'node:assert/strict';
import { FaultProxy } from '../../bench/chaos/faults/fault-proxy.js';
import { ClientRig, has, patienceMs, publish } from '../support/client-rig.js';
import { Closing } from '../support/closing.js';
import { until } from '../support/wait.js';

describe('[CLIENT] the client library loses nothing silently', function () {
  this.timeout(90_000);
  const closing = new Closing();
  const rig = new ClientRig(closing);
  afterEach(() => closing.close());

  it('when Redis is killed and comes back with its log', async () => {
    // With `everysec` Redis answers before it has written, for up to two seconds, while the disk is busy.
    const redis = await rig.redis('aof', ['--appendfsync', 'always']);
    const replica = await rig.replica(redis.url);
    const reader = await rig.read(replica.port);
    const publisher = rig.client(replica.port);
    await publish(publisher, 1);
    await has(reader, 1);
    await redis.signal('SIGKILL');
    const queued = publish(publisher, 2);
    await redis.run();
    await queued;
    await has(reader, 2);
    assert.deepEqual([reader.list, reader.losses], [[1, 2], []]);
  });

  it('when Redis is killed and comes back empty: the loss is told, and new messages follow', async () => {
    const redis = await rig.redis('none');
    const replica = await rig.replica(redis.url);
    const reader = await rig.read(replica.port);
    const publisher = rig.client(replica.port);
    await publish(publisher, 1, 2);
    await has(reader, 2);
    await redis.signal('SIGKILL');
    await redis.run();
    await publish(publisher, 'after the loss');
    await has(reader, 'after the loss');
    assert.deepEqual(reader.list, [1, 2, 'after the loss']);
    assert.deepEqual(reader.losses, ['log_lost']);
  });

  it('when Redis fails over and the last messages are lost: the loss is told, and new messages follow', async () => {
    const [older, newer] = [await rig.redis(), await rig.redis()];
    await newer.replicate(older);
    const path = await FaultProxy.start(older.port);
    closing.add(() => path.stop());
    const replica = await rig.replica(`redis://127.0.0.1:${path.port}`);
    const reader = await rig.read(replica.port);
    const publisher = rig.client(replica.port);
    await publish(publisher, 1, 2);
    await until(() => newer.hasAllOf(older), 'both have the messages', patienceMs);
    await newer.promote();
    await publish(publisher, 'lost');
    await has(reader, 'lost');
    await older.signal('SIGKILL');
    path.retarget(newer.port);
    path.cut();
    await publish(publisher, 3);
    await has(reader, 3);
    assert.deepEqual(reader.list, [1, 2, 'lost', 3]);
    assert.deepEqual(reader.losses, ['log_rolled_back']);
  });
});
