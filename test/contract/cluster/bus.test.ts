import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAdapter } from '@socket.io/redis-adapter';
import { Server } from 'socket.io';
import { AdapterClients } from '../../../server/storage/redis/adapter-clients.js';
import { MemoryBus } from '../../../server/storage/memory/memory-bus.js';
import { RedisLink } from '../../../server/storage/redis/redis-link.js';
import type { Bus } from '../../../server/cluster/bus.js';
import { silentLog } from '../../../server/logging/log.js';
import { redisReplica } from '../../support/redis-replica.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';
import { Closing } from '../../support/closing.js';

describe('traffic between replicas', function () {
  this.timeout(60_000);
  let redis: TestRedis;
  const closing = new Closing();
  const receivedBy = (bus: Bus) => {
    const received: string[] = [];
    bus.on('note', (data, from) => received.push(`${from}: ${JSON.stringify(data)}`));
    return received;
  };
  const open = async (replicaId: string) => {
    const link = new RedisLink(
      { log: silentLog },
      { url: redis.url, commandTimeoutMs: 500, stallLimitMs: 3000 },
    );
    const replica = redisReplica(link, replicaId);
    closing.add(async () => {
      await replica.close();
      await link.close();
    });
    link.start();
    assert.ok(await link.whenUp(5000));
    return { link, bus: replica.bus, close: replica.close };
  };
  beforeEach(async () => {
    redis = await closing.started(TestRedis.start());
  });
  afterEach(() => closing.close());

  it('sends a message to one replica, to itself, or to all others', async () => {
    const [{ bus: a }, { bus: b }] = [await open('a'), await open('b')];
    const [byA, byB] = [receivedBy(a), receivedBy(b)];
    a.send('b', 'note', { n: 1 });
    a.send('a', 'note', 2);
    a.broadcast('note', ['3']);
    a.broadcast('unknown', null);
    b.broadcast('note', 4);
    await until(() => byB.length === 2 && byA.length === 2, 'all messages arrive');
    assert.deepEqual(byB, ['a: {"n":1}', 'a: ["3"]']);
    assert.deepEqual(byA, ['a: 2', 'b: 4']);
  });

  it('says whether a message to one replica was received', async () => {
    const [{ bus: a }, { bus: b, link: linkOfB }] = [await open('a'), await open('b')];
    const byB = receivedBy(b);
    await until(async () => (await a.reach('b', 'note', 1)) === true, 'the other one listens');
    await until(() => byB.length > 0, 'the message arrives');
    assert.equal(await a.reach('a', 'note', 2), true);
    assert.equal(await a.reach('c', 'note', 3), false);
    await linkOfB.close();
    await until(async () => (await a.reach('b', 'note', 4)) === false, 'the other one has ended');
    await redis.signal('SIGKILL');
    await until(async () => (await a.reach('c', 'note', 5)) === undefined, 'Redis is unreachable');
  });

  it('knows the live replicas, and says when it only knew them', async () => {
    const [{ bus: a }] = [await open('a'), await open('b')];
    await until(async () => (await a.liveReplicas())?.length === 2, 'both are live');
    await redis.signal('SIGKILL');
    await until(async () => (await a.liveReplicas()) === undefined, 'Redis is unreachable');
    assert.deepEqual((await a.replicas()).sort(), ['a', 'b']);
  });

  it('continues after a handler that throws, and ignores invalid messages', async () => {
    const [{ bus: a }, { bus: b }] = [await open('a'), await open('b')];
    b.on('bad', () => {
      throw new Error('a bug');
    });
    const byB = receivedBy(b);
    await redis.command('PUBLISH rtc:bus {');
    a.broadcast('bad', 1);
    a.broadcast('note', 2);
    await until(() => byB.length === 1, 'the next one arrives');
  });

  it('lists the live replicas: a replica that stops is removed at once, one that crashes after a while', async () => {
    const [{ bus: a }, { close: closeB }, { bus: c, link: linkOfC }] = [
      await open('a'),
      await open('b'),
      await open('c'),
    ];
    await until(async () => (await a.replicas()).sort().join() === 'a,b,c', 'all are listed');
    await closeB();
    assert.deepEqual((await a.replicas()).sort(), ['a', 'c']);
    await linkOfC.close();
    await until(async () => (await a.replicas()).join() === 'a', 'the crashed one is removed');
    assert.ok((await c.replicas()).includes('c'), 'without Redis the last known list is returned');
  });

  it('receives messages again after a restart of Redis', async () => {
    const [{ bus: a, link }, { bus: b }] = [await open('a'), await open('b')];
    const byB = receivedBy(b);
    await redis.signal('SIGKILL');
    await until(() => link.state === 'down', 'the link reports the loss');
    a.broadcast('note', 'lost');
    await redis.run();
    await until(async () => (await a.replicas()).sort().join() === 'a,b', 'both are connected again');
    a.broadcast('note', 'received');
    await until(() => byB.length > 0, 'the message arrives');
    assert.deepEqual(byB, ['a: "received"']);
  });

  it('sends only to itself in memory', async () => {
    const bus = new MemoryBus('a');
    const received = receivedBy(bus);
    bus.send('a', 'note', 1);
    bus.send('b', 'note', 2);
    bus.broadcast();
    assert.deepEqual(received, ['a: 1']);
    assert.deepEqual(await bus.replicas(), ['a']);
  });

  it("keeps Socket.IO's adapter working through a restart of Redis, without an exception", async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (error: unknown) => unhandled.push(error);
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection').on('unhandledRejection', onUnhandled);
    closing.add(async () => {
      process.off('unhandledRejection', onUnhandled);
      for (const listener of others) process.on('unhandledRejection', listener);
    });
    const servers = [1, 2].map(() => {
      const clients = new AdapterClients({ log: silentLog }, { url: redis.url, answerLimitMs: 1000 });
      // Passed before there is a connection, as in a replica that starts without Redis.
      const io = new Server({ adapter: createAdapter(clients.publisher, clients.subscriber) });
      clients.start();
      closing.add(async () => {
        await io.of('/').adapter.close();
        await clients.close();
      });
      return { io, clients };
    });
    const [one, two] = [servers[0]!, servers[1]!];
    let received = 0;
    two.io.on('note', () => received++);
    const reaches = async () => {
      const before = received;
      one.io.serverSideEmit('note');
      await sleep(50);
      return received > before;
    };
    await until(reaches, 'the other replica is reached');
    await redis.signal('SIGKILL');
    one.io.emit('message', 'lost');
    one.io.serverSideEmit('note');
    one.io.socketsJoin('room');
    one.io.disconnectSockets();
    one.io.of('/other');
    await assert.rejects(one.io.fetchSockets());
    assert.ok(one.clients.failures > 0, 'failures are counted');
    await redis.run();
    await until(reaches, 'the other replica is reached again');
    assert.deepEqual(unhandled, []);
  });
});
