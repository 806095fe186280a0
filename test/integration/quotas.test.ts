import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import { ok, request, type Json } from '../support/admin.js';
import { connectClient, emit, type TestAnswer } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

for (const storage of ['memory', 'Redis'] as const) {
  describe(`[L8] what one user may do to the others, with ${storage}`, function () {
    this.timeout(60_000);
    let redis: TestRedis | undefined;
    let replicas: TestReplica[] = [];
    const sockets: Socket[] = [];
    /** Two replicas with Redis, one in memory. */
    const start = async (environment: NodeJS.ProcessEnv = {}) => {
      const env = { ...environment, ...(redis && { REDIS_URL: redis.url }) };
      replicas = await Promise.all(
        Array.from({ length: redis === undefined ? 1 : 2 }, () => TestReplica.start(env)),
      );
    };
    const connect = async (userId: string, n = 0) => {
      const socket = await connectClient(replicas[n % replicas.length]!.url, userId);
      sockets.push(socket);
      return socket;
    };
    const direct = (socket: Socket, to: string, payload: unknown, more: object = {}) =>
      emit(socket, 'direct', { to, payload, confirm: 'stored', timeout_ms: 1, ...more });
    const post = async (path: string, userId: string, body: object, key: string) => {
      const response = await fetch(`${replicas[0]!.url}/api/${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${tokenOf(userId)}`, 'idempotency-key': key },
        body: JSON.stringify(body),
      });
      return (await response.json()) as TestAnswer;
    };
    const metrics = async (quota: string) => {
      let sum = 0;
      for (const replica of replicas)
        sum += ((await replica.json<Json>('/metrics'))['quota_refusals'] as Json)[quota] as number;
      return sum;
    };

    before(async () => {
      if (storage === 'Redis') redis = await TestRedis.start();
    });
    after(() => redis?.stop());
    beforeEach(() => redis?.command('FLUSHALL'));
    afterEach(async () => {
      for (const socket of sockets.splice(0)) socket.disconnect();
      await Promise.all(replicas.splice(0).map((replica) => replica.end('SIGKILL')));
    });

    it('keeps the key of one sender apart from those of the others, on every wire', async () => {
      await start();
      const [mallory, ann] = [await connect('mallory'), await connect('ann', 1)];
      await emit(mallory, 'publish', { topic: 'orders', payload: 'nothing', key: 'order-42' });
      const order = await emit(ann, 'publish', { topic: 'orders', payload: { order: 42 }, key: 'order-42' });
      assert.deepEqual([order.ok, order['duplicate'], order.sequence], [true, undefined, 2]);
      const again = await post('publish', 'ann', { topic: 'orders', payload: { order: 42 } }, 'order-42');
      assert.deepEqual([again['duplicate'], again.id], [true, order.id]);
      const other = await post('publish', 'bob', { topic: 'orders', payload: 'mine' }, 'order-42');
      assert.deepEqual([other['duplicate'], other.sequence], [undefined, 3]);

      await direct(mallory, 'carl', 'x', { key: 'invoice-7' });
      const invoice = await direct(ann, 'carl', 'the real one', { key: 'invoice-7' });
      assert.deepEqual([invoice.ok, invoice['duplicate']], [true, undefined]);
      const repeated = await direct(ann, 'carl', 'the real one', { key: 'invoice-7' });
      assert.deepEqual([repeated['duplicate'], repeated.id], [true, invoice.id]);
    });

    it('shares keys among all senders if the settings say so', async () => {
      await start({ RTC_TOPICS_IDEMPOTENCY_SCOPE: 'topic' });
      const [one, two] = [await connect('backend-1'), await connect('backend-2', 1)];
      const first = await emit(one, 'publish', { topic: 'orders', payload: 1, key: 'event-1' });
      const second = await emit(two, 'publish', { topic: 'orders', payload: 1, key: 'event-1' });
      assert.deepEqual([second['duplicate'], second.id], [true, first.id]);
    });

    it('leaves room in an inbox that one sender fills, and operators can look at it and empty it', async () => {
      await start({ RTC_DIRECT_INBOX_SIZE: '20' });
      const [mallory, ann] = [await connect('mallory'), await connect('ann', 1)];
      const answers: TestAnswer[] = [];
      for (let n = 0; n < 15; n++) answers.push(await direct(mallory, 'victim', `spam ${n}`));
      assert.equal(answers.filter((answer) => answer.ok).length, 10);
      const { error } = answers.at(-1)!;
      assert.equal(error?.code, 'quota_exceeded');
      assert.ok(error.limit === 10 && error.retry_after_ms! > 0);
      assert.equal((await direct(ann, 'victim', 'important')).ok, true);
      assert.equal(await metrics('inbox_share'), 5);

      const path = '/users/victim/inbox';
      const replica = replicas[0]!;
      const first = await ok(replica, 'GET', `${path}?limit=8`);
      const second = await ok(replica, 'GET', `${path}?limit=8&after=${first['next'] as number}`);
      const senders = [...(first['messages'] as Json[]), ...(second['messages'] as Json[])].map(
        ({ sender }) => sender as string,
      );
      assert.deepEqual([senders.length, senders.at(-1), second['next']], [11, 'ann', null]);
      for (const [method, role, status] of [
        ['GET', 'user', 403],
        ['GET', 'viewer', 403],
        ['GET', 'operator', 200],
        ['DELETE', 'operator', 403],
      ] as const) {
        const token = tokenOf('olga', { roles: [role] });
        assert.equal(
          (await request(replica, method, path, undefined, token)).status,
          status,
          `${method} ${role}`,
        );
      }
      assert.equal((await ok(replica, 'DELETE', `${path}?sender=mallory`))['removed'], 10);
      const left = (await ok(replica, 'GET', path))['messages'] as Json[];
      assert.deepEqual(
        left.map(({ payload }) => payload as string),
        ['important'],
      );
      assert.equal((await direct(mallory, 'victim', 'again')).ok, true);
      assert.equal((await ok(replica, 'DELETE', path))['removed'], 2);
      const records = (await ok(replica, 'GET', '/audit?limit=10'))['records'] as Json[];
      assert.equal(records.filter(({ action }) => String(action).includes('victim/inbox')).length, 3);
    });

    it('limits the topics that a user creates, also by direct messages, and not those that exist', async () => {
      await start({ RTC_LIMITS_USER_NEW_TOPICS: '20' });
      const [eve, eve2, ann] = [await connect('eve'), await connect('eve', 1), await connect('ann')];
      await emit(ann, 'publish', { topic: 'news', payload: 1 });
      let created = 0;
      for (let n = 0; n < 60; n++) {
        const socket = n % 2 === 0 ? eve : eve2;
        // To have subscribed before does not make a topic exist.
        await emit(socket, 'subscribe', { topics: [`eve.${n}`] });
        const answer =
          n % 3 === 0
            ? await direct(socket, `ghost-${n}`, 1)
            : await emit(socket, 'publish', { topic: `eve.${n}`, payload: 1 });
        if (answer.ok) created++;
        else {
          assert.equal(answer.error?.code, 'quota_exceeded');
          assert.ok(answer.error.limit === 20 && answer.error.retry_after_ms! > 0);
        }
      }
      assert.ok(created >= 20 && created <= 22, `${created} topics were created`);
      assert.equal((await emit(eve, 'publish', { topic: 'news', payload: 2 })).ok, true);
      assert.equal((await emit(ann, 'publish', { topic: 'anns', payload: 2 })).ok, true);
      assert.equal(await metrics('new_topics'), 60 - created);
    });

    it('limits the bytes that a user stores', async () => {
      await start({ RTC_LIMITS_USER_STORED_BYTES: '100000' });
      const [eve, eve2, ann] = [await connect('eve'), await connect('eve', 1), await connect('ann')];
      let stored = 0;
      let refused: TestAnswer | undefined;
      for (let n = 0; n < 60 && refused === undefined; n++) {
        const answer = await emit(n % 2 === 0 ? eve : eve2, 'publish', {
          topic: 't',
          payload: 'é'.repeat(2500),
        });
        if (answer.ok) stored += 5000;
        else refused = answer;
      }
      assert.equal(refused?.error?.code, 'quota_exceeded');
      assert.match(refused.error.message, /more than 100000 bytes in 3600 seconds/);
      assert.ok(stored >= 90_000 && stored <= 120_000, `${stored} bytes were stored`);
      assert.equal((await emit(ann, 'publish', { topic: 't', payload: 'mine' })).ok, true);
    });

    it('holds the quotas of a user in a burst, on each replica', async () => {
      await start({ RTC_LIMITS_USER_NEW_TOPICS: '20', RTC_LIMITS_USER_STORED_BYTES: '100000' });
      const atMost = replicas.length;
      const burst = async (userId: string, count: number, requestOf: (n: number) => object) => {
        const clients = [await connect(userId), await connect(userId, 1)];
        const answers = await Promise.all(
          Array.from({ length: count }, (_, n) => emit(clients[n % 2]!, 'publish', requestOf(n))),
        );
        for (const { ok, error } of answers) assert.ok(ok || error?.code === 'quota_exceeded', error?.code);
        return answers.filter((answer) => answer.ok).length;
      };
      const created = await burst('mallory', 600, (n) => ({ topic: `burst.${n}`, payload: n }));
      assert.ok(created >= 20 && created <= 20 * atMost, `${created} topics were created`);
      const stored = await burst('eve', 200, () => ({ topic: 'burst.0', payload: 'x'.repeat(9_900) }));
      assert.ok(stored >= 9 && stored <= 10 * atMost, `${stored} messages were stored`);
      // What was refused is not counted.
      assert.equal((await emit(await connect('ann'), 'publish', { topic: 'anns', payload: 1 })).ok, true);
    });

    it('limits the bytes per second of a connection and of a user', async () => {
      await start({
        RTC_LIMITS_CONNECTION_BYTES_PER_SEC: '50000',
        RTC_LIMITS_USER_BYTES_PER_SEC: '10000',
      });
      const eve = await connect('eve');
      const payload = 'x'.repeat(20_000);
      const burst = await Promise.all(
        Array.from({ length: 10 }, () => emit(eve, 'publish', { topic: 't', payload })),
      );
      const refused = burst.find((answer) => !answer.ok);
      assert.equal(refused?.error?.code, 'rate_limited');
      assert.deepEqual([refused.error.limit, refused.error.size! > 20_000], [50_000, true]);
      // Ten seconds' worth of the user are 100,000 bytes, over any number of connections.
      let admitted = 0;
      for (let n = 0; n < 10; n++) {
        const socket = await connect('eve', n);
        const answer = await emit(socket, 'publish', { topic: 't', payload });
        if (answer.ok) admitted++;
        else assert.equal(answer.error?.limit, 10_000, JSON.stringify(answer.error));
      }
      assert.ok(admitted >= 1 && admitted <= 5, `${admitted} more were admitted`);
      assert.equal((await emit(await connect('ann'), 'publish', { topic: 't', payload })).ok, true);
      await until(async () => (await metrics('user_bytes')) > 0, 'the refusals are counted');
    });
  });
}

describe('[P7.21] histories without Redis', () => {
  it('stay within their memory, and a position that was removed early is not recovered', async function () {
    this.timeout(60_000);
    const replica = await TestReplica.start({ RTC_TOPICS_MEMORY_BYTES: '5000000' });
    const ann = await connectClient(replica.url, 'ann');
    try {
      const first = await emit(ann, 'publish', { topic: 'large', payload: 1 });
      for (let n = 0; n < 150; n += 10)
        await Promise.all(
          Array.from({ length: 10 }, () =>
            emit(ann, 'publish', { topic: 'large', payload: 'x'.repeat(60_000) }),
          ),
        );
      const since = { large: { epoch: first.epoch, sequence: 1 } };
      const answer = await emit(ann, 'subscribe', { topics: ['large'], since });
      const [topic] = answer['topics'] as Json[];
      assert.deepEqual([topic!['recovered'], topic!['sequence']], [false, 151]);
      assert.ok((await replica.json<Json>('/metrics'))['history_removed'] > 50);
      assert.equal(replica.output.split('removed early').length, 2, 'said once');
    } finally {
      ann.disconnect();
      await replica.end('SIGKILL');
    }
  });
});
