import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Socket } from 'socket.io-client';
import { ok, type Json } from '../support/admin.js';
import { connectClient, emit, type TestAnswer } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

type Fill = (socket: Socket, n: number) => Promise<TestAnswer>;

/** Requests of one user at the same time. */
const atOnce = 40;
const large = 'x'.repeat(60_000);

/** Sends until one request is refused. Resolves to the refusal. */
async function fillUntilRefused(sockets: readonly Socket[], fill: Fill): Promise<TestAnswer> {
  for (let n = 0; n < 200_000; n += atOnce) {
    const answers = await Promise.all(
      Array.from({ length: atOnce }, (_, i) => fill(sockets[(n + i) % sockets.length]!, n + i)),
    );
    const refused = answers.find((answer) => !answer.ok);
    if (refused !== undefined) return refused;
  }
  throw new Error('never refused');
}

/** The ways in which one user can fill the store. */
const ways: Readonly<Record<string, { readonly fill: Fill; readonly maxMemory: string }>> = {
  'large messages in many topics': {
    maxMemory: '60mb',
    fill: (socket, n) => emit(socket, 'publish', { topic: `fill.${n}`, payload: large }),
  },
  'a long history': {
    // Large enough for a step between "scarce" and "reserved" that forty messages do not jump over.
    maxMemory: '40mb',
    fill: (socket) => emit(socket, 'publish', { topic: 'long', payload: large }),
  },
  'the inboxes of users who do not exist': {
    maxMemory: '12mb',
    fill: (socket, n) =>
      emit(socket, 'direct', { to: `ghost-${n}`, payload: large, confirm: 'stored', timeout_ms: 1 }),
  },
  'idempotency keys': {
    maxMemory: '12mb',
    fill: (socket, n) => emit(socket, 'publish', { topic: 'k', payload: 0, key: `${n}`.padEnd(190, '.') }),
  },
  'new topics with tiny messages': {
    maxMemory: '12mb',
    fill: (socket, n) => emit(socket, 'publish', { topic: `tiny.${n}`, payload: 0 }),
  },
};

describe('[P7] a Redis with maxmemory that one user fills', function () {
  this.timeout(120_000);
  let redis: TestRedis;
  const replicas: TestReplica[] = [];
  const sockets: Socket[] = [];
  const start = async (maxMemory: string, count = 1, policy = 'noeviction') => {
    redis = await TestRedis.start('none', ['--maxmemory', maxMemory, '--maxmemory-policy', policy]);
    for (let i = 0; i < count; i++) replicas.push(await TestReplica.start({ REDIS_URL: redis.url }));
    await until(async () => (await memoryOf(replicas[0]!)).max_bytes > 0, 'the memory is measured');
  };
  const connect = async (userId: string, replica = replicas[0]!, options: object = {}) => {
    const socket = await connectClient(replica.url, userId, options);
    sockets.push(socket);
    return socket;
  };
  const memoryOf = async (replica: TestReplica): Promise<Json> =>
    ((await replica.json<Json>('/health'))['redis'] as Json)['memory'] as Json;
  /** Another program fills Redis to this share of its memory. */
  const fillTo = async (share: number) => {
    for (let n = 0; ; n++) {
      const memory = await redis.info('memory');
      if (Number(memory.get('used_memory')) >= share * Number(memory.get('maxmemory'))) return;
      await redis.command(`SETRANGE junk:${n} 100000 x`);
    }
  };
  const refusals = async () => (await redis.info('errorstats')).get('errorstat_OOM');

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.disconnect();
    await Promise.all(replicas.splice(0).map((replica) => replica.end('SIGKILL')));
    await redis.stop();
  });

  for (const [way, { fill, maxMemory }] of Object.entries(ways)) {
    it(`refuses a user who fills it with ${way}, and serves everybody else`, async () => {
      await start(maxMemory, 2);
      const [replica, other] = replicas as [TestReplica, TestReplica];
      const ann = await connect('ann');
      assert.equal((await emit(ann, 'publish', { topic: 'orders', payload: 1 })).ok, true);
      assert.equal(
        (await emit(ann, 'direct', { to: 'bob', payload: 1, confirm: 'stored', timeout_ms: 1 })).ok,
        true,
      );

      const mallory = [await connect('mallory'), await connect('mallory', other)];
      const { error } = await fillUntilRefused(mallory, fill);
      assert.equal(error?.code, 'quota_exceeded', JSON.stringify(error));
      assert.match(error.message, /memory of Redis is scarce/);
      assert.ok(error.limit! > 0 && error.retry_after_ms! > 0);
      // Also on the other replica, and again and again: there is room left for the others.
      for (const socket of mallory) await fillUntilRefused([socket], fill);
      const { used_bytes: used, max_bytes: max } = await memoryOf(replica);
      assert.ok(used < 0.9 * max, `${used} of ${max} bytes are in use`);

      for (let n = 2; n < 52; n++) {
        const answer = await emit(ann, 'publish', { topic: 'orders', payload: n, key: `order-${n}` });
        assert.deepEqual([answer.ok, answer.sequence], [true, n], JSON.stringify(answer.error));
      }
      const direct = await emit(ann, 'direct', { to: 'bob', payload: 2, confirm: 'stored', timeout_ms: 1 });
      assert.equal(direct.ok, true);
      const bob = await connect('bob', other);
      const subscribed = await emit(bob, 'subscribe', { topics: ['orders'] });
      assert.equal((subscribed['topics'] as unknown[]).length, 1);
      assert.equal(((await emit(bob, 'history', { topic: 'orders' }))['messages'] as unknown[]).length, 51);

      // A token that is issued in a later second would be a new login.
      const token = tokenOf('mallory');
      await ok(replica, 'POST', '/users/mallory/revoke-tokens', {});
      await until(() => mallory.every((socket) => socket.disconnected), 'mallory is disconnected');
      await assert.rejects(connectClient(other.url, 'mallory', { auth: { token } }), /revoked/);
      await ok(replica, 'POST', '/emergency-mode', { mode: 'read_only' });
      assert.equal((await emit(ann, 'publish', { topic: 'orders', payload: 0 })).error?.code, 'read_only');
      await ok(replica, 'POST', '/emergency-mode', { mode: 'normal' });
      await ok(replica, 'POST', '/connections/disable-new', {});
      await assert.rejects(connectClient(replica.url, 'carl'));
      assert.equal(await refusals(), undefined, 'Redis itself has refused nothing');
    });
  }

  it('does not count what replaces older messages', async () => {
    redis = await TestRedis.start('none', ['--maxmemory', '60mb', '--maxmemory-policy', 'noeviction']);
    const replica = await TestReplica.start({ REDIS_URL: redis.url, RTC_TOPICS_HISTORY_SIZE: '20' });
    replicas.push(replica);
    const ann = await connect('ann');
    const publish: Fill = (socket) => emit(socket, 'publish', { topic: 'busy', payload: large });
    await Promise.all(Array.from({ length: 20 }, () => publish(ann, 0)));
    // Memory is scarce, but not by ann.
    await fillTo(0.83);
    await until(async () => (await memoryOf(replica))['level'] === 'scarce', 'memory is scarce');
    // Many times the share of one user, a few at a time.
    for (let n = 0; n < 60; n++) {
      const answers = await Promise.all([publish(ann, 0), publish(ann, 0)]);
      assert.ok(
        answers.every(({ ok: isStored }) => isStored),
        JSON.stringify(answers[0]?.error),
      );
    }
  });

  it('stores sessions and operators’ changes when only the reserved room is left, and says so once', async () => {
    await start('30mb');
    const replica = replicas[0]!;
    const ann = await connect('ann');
    await emit(ann, 'subscribe', { topics: ['orders'] });
    await emit(ann, 'publish', { topic: 'orders', payload: 1 });
    // By another program.
    await fillTo(0.92);
    await until(async () => (await memoryOf(replica))['level'] === 'reserved', 'only the reserve is left');

    const refused = await emit(ann, 'publish', { topic: 'orders', payload: 2, key: 'k' });
    assert.equal(refused.error?.code, 'unavailable');
    assert.match(refused.error.message, /memory of Redis is full: nothing was stored/);
    assert.ok(refused.error.retry_after_ms! > 0);
    const answer = await emit(ann, 'subscribe', { topics: ['new'] });
    assert.equal((answer['rejected'] as { error: Json }[])[0]!.error['code'], 'unavailable');
    assert.equal((await emit(ann, 'history', { topic: 'orders' })).ok, true);
    const health = await replica.json<Json>('/health');
    assert.equal(health['status'], 'degraded');
    assert.equal((await fetch(`${replica.url}/health/ready`)).status, 200);
    const log = replica.output
      .split('\n')
      .filter((line) => line.includes('"message":"The memory of Redis is full'));
    assert.equal(log.length, 1, log.join('\n'));
    assert.match(log[0]!, /"level":"ERROR".*"remedy":"[^"]*maxmemory/);

    // A new session is saved and resumed with its topics.
    const bob = await connect('bob');
    const sessionId = (bob as unknown as { status: Json }).status['session_id'] as string;
    await emit(bob, 'subscribe', { topics: ['orders'] });
    await sleep(300);
    bob.disconnect();
    const back = await connect('bob', replica, { auth: { session_id: sessionId } });
    assert.equal((back as unknown as { status: Json }).status['session_id'], sessionId);

    await ok(replica, 'POST', '/users/mallory/revoke-tokens', {});
    await redis.command('FLUSHALL');
    await until(async () => (await emit(ann, 'publish', { topic: 'orders', payload: 2, key: 'k' })).ok, 'ok');
    assert.equal((await replica.json<Json>('/health'))['status'], 'ok');
  });

  it('stores operators’ changes and revocations when not a byte is left', async () => {
    await start('30mb');
    const replica = replicas[0]!;
    const ann = await connect('ann');
    await emit(ann, 'publish', { topic: 'orders', payload: 1 });
    await redis.command('CONFIG SET maxmemory 1');
    assert.equal((await emit(ann, 'publish', { topic: 'orders', payload: 2 })).error?.code, 'unavailable');
    await ok(replica, 'POST', '/emergency-mode', { mode: 'read_only' });
    await ok(replica, 'POST', '/connections/disable-new', {});
    await ok(replica, 'POST', '/users/mallory/revoke-tokens', {});
    await ok(replica, 'POST', '/topics/orders/freeze', {});
    assert.equal((await ok(replica, 'GET', '/emergency-mode'))['mode'], 'read_only');
    // Stored, so a new replica has them too.
    const next = await TestReplica.start({ REDIS_URL: redis.url });
    replicas.push(next);
    assert.equal((await next.json<Json>('/health'))['mode'], 'read_only');
    const response = await fetch(`${next.url}/api/history?topic=orders`, {
      headers: { authorization: `Bearer ${tokenOf('mallory', { iat: 1 })}` },
    });
    assert.equal(((await response.json()) as { error: Json }).error['code'], 'token_revoked');
  });

  it('warns once if Redis deletes data instead, and then refuses nothing', async () => {
    await start('12mb', 1, 'allkeys-lru');
    const replica = replicas[0]!;
    const ann = await connect('ann');
    for (let n = 0; n < 300; n++) {
      const answer = await emit(ann, 'publish', { topic: `t.${n % 50}`, payload: large });
      assert.equal(answer.ok, true, JSON.stringify(answer.error));
    }
    const warnings = replica.output.split('\n').filter((line) => line.includes('allkeys-lru'));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /"level":"WARN".*"remedy":"set maxmemory-policy noeviction"/);
  });
});
