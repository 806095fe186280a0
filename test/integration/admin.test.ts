import assert from 'node:assert/strict';
import { connect as connectTcp } from 'node:net';
import type { ErrorCode } from '../../shared/errors.js';
import { ok, openApiOf, request as call, type Json } from '../support/admin.js';
import { emit, JsonClient, type TestAnswer } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { ReplicaPair, titleOf } from '../support/replica-pair.js';
import { until } from '../support/wait.js';

const codeOf = async (asked: Promise<TestAnswer>): Promise<ErrorCode | 'ok'> =>
  (await asked).error?.code ?? 'ok';

for (const storage of ['redis', 'memory'] as const) {
  describe(`[ADMIN] operators, with ${titleOf(storage)}`, () => {
    let pair: ReplicaPair;
    let redis: TestRedis | undefined;
    let a: TestReplica;
    let b: TestReplica;
    const connect = (replica: TestReplica, user: string) => pair.connect(replica, user);

    before(async () => {
      pair = await ReplicaPair.start(storage);
      ({ a, b, redis } = pair);
    });
    afterEach(async () => {
      // Even after a failed test, the next one can connect.
      await call(a, 'POST', '/connections/enable-new');
      pair.disconnectAll();
    });
    after(() => pair.stop());

    it('need a token with a sufficient role; otherwise nothing changes', async () => {
      const { paths } = await openApiOf(a);
      const ranks = ['user', 'viewer', 'operator', 'admin'];
      let looked = 0;
      for (const [path, operations] of Object.entries(paths)) {
        for (const [method, operation] of Object.entries(operations)) {
          const route = path.replace('/admin', '').replace(/\{\w+\}/g, 'x');
          const without = await call(a, method.toUpperCase(), route, undefined, null);
          assert.deepEqual([without.status, without.body['error']!['code']], [401, 'unauthorized'], route);
          const lower = ranks[ranks.indexOf(operation['x-role']) - 1]!;
          const little = await call(
            a,
            method.toUpperCase(),
            route,
            undefined,
            tokenOf('mallory', { roles: [lower] }),
          );
          assert.deepEqual(
            [little.status, little.body['error']!['code']],
            [403, 'forbidden'],
            `${method} ${route}`,
          );
          looked++;
        }
      }
      assert.ok(looked > 20, 'the document lists the routes');
      const state = await ok(b, 'GET', '/emergency-mode');
      assert.deepEqual(
        [state['mode'], state['accepts_connections'], state['presence']],
        ['normal', true, 'on'],
      );
    });

    it('can read all routes without parameters, as documented', async () => {
      const { paths } = await openApiOf(b);
      const plain = Object.keys(paths).filter(
        (path) => paths[path]!['get'] !== undefined && !path.includes('{') && !path.endsWith('/backup'),
      );
      assert.ok(plain.length >= 8);
      // The one route that cannot do without a question.
      const question = (path: string) => (path === '/admin/search' ? '?q=news' : '');
      for (const path of plain) await ok(b, 'GET', path.replace('/admin', '') + question(path));
    });

    it('switch both replicas to read-only through one of them within a second, and clients are notified', async () => {
      const [one, two] = [await connect(a, 'ann'), await connect(b, 'bob')];
      const received: Record<string, unknown>[] = [];
      two.on('system_notification', (notice: Record<string, unknown>) => received.push(notice));
      await emit(two, 'subscribe', { topics: ['news'] });
      await ok(a, 'POST', '/emergency-mode', { mode: 'read_only', reason: 'drill' });
      await until(
        async () => (await codeOf(emit(two, 'publish', { topic: 'news', payload: 1 }))) === 'read_only',
        'b is read-only',
        1000,
      );
      assert.equal(await codeOf(emit(one, 'publish', { topic: 'news', payload: 1 })), 'read_only');
      assert.equal(await codeOf(emit(one, 'direct', { to: 'bob', payload: 1 })), 'read_only');
      assert.equal(await codeOf(emit(one, 'history', { topic: 'news' })), 'ok', 'reading still works');
      assert.equal((await b.json<Json>('/health'))['mode'], 'read_only');
      await ok(b, 'POST', '/emergency-mode', { mode: 'normal' });
      await until(
        async () => (await codeOf(emit(one, 'publish', { topic: 'news', payload: 1 }))) === 'ok',
        'a is back',
        1000,
      );
      await until(() => received.length === 2, 'clients of the other replica are notified');
      assert.deepEqual(
        received.map(({ kind, mode, level }) => [kind, mode, level]),
        [
          ['mode', 'read_only', 'warning'],
          ['mode', 'normal', 'info'],
        ],
      );
    });

    it('have the mode sent to clients that connect while it is not normal', async () => {
      await ok(a, 'POST', '/emergency-mode', { mode: 'read_only' });
      await until(
        async () => (await b.json<Json>('/health'))['mode'] === 'read_only',
        'b is read-only',
        1000,
      );
      const one = await connect(b, 'ann');
      assert.equal(one.status['mode'], 'read_only');
      await ok(a, 'POST', '/emergency-mode', { mode: 'normal' });
      await until(async () => (await b.json<Json>('/health'))['mode'] === 'normal', 'b is back', 1000);
    });

    it('disable and enable new connections; existing ones stay connected', async () => {
      const one = await connect(b, 'ann');
      await ok(a, 'POST', '/connections/disable-new');
      const refused = () =>
        fetch(`${b.url}/socket.io/?EIO=4&transport=polling`).then(({ status, headers }) => [
          status,
          headers.get('retry-after'),
        ]);
      await until(async () => (await refused())[0] === 503, 'b refuses connections', 1000);
      assert.deepEqual(await refused(), [503, '5']);
      assert.equal(await codeOf(emit(one, 'ping', {})), 'ok');
      await ok(b, 'POST', '/connections/enable-new');
      await until(async () => (await refused())[0] === 200, 'connections are admitted again', 1000);
    });

    it('freeze one topic without effect on others', async () => {
      const one = await connect(b, 'ann');
      await ok(a, 'POST', '/topics/ice/freeze');
      await until(
        async () => (await codeOf(emit(one, 'publish', { topic: 'ice', payload: 1 }))) === 'topic_frozen',
        'it is frozen',
        1000,
      );
      assert.equal(await codeOf(emit(one, 'publish', { topic: 'water', payload: 1 })), 'ok');
      assert.equal(await codeOf(emit(one, 'subscribe', { topics: ['ice'] })), 'ok', 'it can be read');
      await ok(a, 'POST', '/topics/ice/unfreeze');
      await until(
        async () => (await codeOf(emit(one, 'publish', { topic: 'ice', payload: 1 }))) === 'ok',
        'it is writable again',
        1000,
      );
    });

    it('shed presence and restore it, with the changes made meanwhile', async () => {
      const one = await connect(b, 'ann');
      await emit(one, 'subscribe', { topics: ['hall'] });
      await ok(a, 'POST', '/presence/shed');
      await until(
        async () => (await codeOf(emit(one, 'presence', { topic: 'hall' }))) === 'read_only',
        'it is off',
        1000,
      );
      const two = await connect(a, 'bob');
      await emit(two, 'subscribe', { topics: ['hall'] });
      await ok(a, 'POST', '/presence/restore');
      await until(
        async () => (await emit(one, 'presence', { topic: 'hall' }))['count'] === 2,
        'both are present',
        2000,
      );
    });

    it('send notifications to all users, to some users and to the subscribers of a topic', async () => {
      const clients = [await connect(a, 'ann'), await connect(b, 'bob')];
      const json = new JsonClient(b.webSocketUrl, 'cleo');
      await until(() => json.of('Status').length > 0, 'the client is connected');
      const received: string[] = [];
      clients.forEach((socket, i) =>
        socket.on('system_notification', ({ message }: { message: string }) =>
          received.push(`${i} ${message}`),
        ),
      );
      await emit(clients[1]!, 'subscribe', { topics: ['news'] });
      const all = await ok(a, 'POST', '/broadcast', {
        type: 'SystemNotification',
        data: { level: 'warning', message: 'all' },
      });
      assert.deepEqual(all, { notified: 3, silent_replicas: [] });
      const users = await ok(a, 'POST', '/broadcast', { data: { message: 'bob' }, users: ['bob'] });
      const topic = await ok(a, 'POST', '/broadcast', { data: { message: 'news' }, topic: 'news' });
      assert.deepEqual([users['notified'], topic['notified']], [1, 1]);
      await until(() => received.length === 4, 'they arrive');
      assert.deepEqual(received.sort(), ['0 all', '1 all', '1 bob', '1 news']);
      await until(() => json.of('SystemNotification').length === 1, 'it is a frame on /ws');
      assert.equal(json.of('SystemNotification')[0]!.data['message'], 'all');
      json.close();
    });

    it('list connections, users and topics of all replicas, and disconnect or unsubscribe them', async () => {
      const [one, two] = [await connect(a, 'ann'), await connect(b, 'ann')];
      await emit(one, 'subscribe', { topics: ['x/1', 'x/2'] });
      await emit(two, 'subscribe', { topics: ['x/1'] });
      const list = await ok(b, 'GET', '/connections?user=ann');
      assert.equal(list['total'], 2);
      assert.deepEqual(
        new Set((list['connections'] as { connection_id: string }[]).map(({ connection_id: id }) => id)),
        new Set([one.id, two.id]),
      );
      const users = await ok(a, 'GET', '/users');
      assert.equal(
        (users['users'] as { user_id: string; connections: number }[]).find(
          ({ user_id: id }) => id === 'ann',
        )!.connections,
        2,
      );
      const topics = (await ok(a, 'GET', '/topics?prefix=x/'))['topics'] as {
        topic: string;
        subscribers: number;
      }[];
      assert.deepEqual(
        topics.map(({ topic, subscribers }) => [topic, subscribers]),
        [
          ['x/1', 2],
          ['x/2', 1],
        ],
      );
      assert.equal((await ok(a, 'GET', `/topics/${encodeURIComponent('x/1')}`))['topic'], 'x/1');
      const received: string[] = [];
      one.on('status', ({ status }: { status: string }) => received.push(status));
      assert.deepEqual(
        (await ok(b, 'POST', `/connections/${one.id}/unsubscribe`, { topics: ['x/2', 'other'] }))[
          'unsubscribed'
        ],
        ['x/2'],
      );
      await until(() => received.includes('unsubscribed'), 'the client is notified');
      const reasons: string[] = [];
      one.on('error', ({ message }: { message: string }) => reasons.push(message));
      assert.equal(
        (await ok(b, 'POST', `/connections/${one.id}/disconnect`, { reason: 'go away' }))['disconnected'],
        1,
      );
      await until(() => !one.connected, 'it is closed');
      assert.deepEqual(reasons, ['go away']);
      assert.equal((await ok(a, 'POST', '/users/ann/disconnect'))['disconnected'], 1);
      await until(() => !two.connected, 'it is closed');
      assert.equal((await call(a, 'GET', `/connections/${one.id}`)).status, 404);
    });

    it('read and empty the log of a topic, which keeps its position', async () => {
      const one = await connect(a, 'ann');
      for (const payload of [1, 2, 3]) await emit(one, 'publish', { topic: 'diary', payload });
      const before = await ok(b, 'GET', '/topics/diary/history?limit=2');
      assert.deepEqual(
        (before['messages'] as { payload: number }[]).map(({ payload }) => payload),
        [2, 3],
      );
      assert.equal((await ok(b, 'DELETE', '/topics/diary/history'))['removed'], 3);
      assert.deepEqual((await ok(b, 'GET', '/topics/diary'))['stored'], 0);
      const next = await emit(one, 'publish', { topic: 'diary', payload: 4 });
      assert.equal(next.sequence, 4);
    });

    it('change the log filter of both replicas at run time', async () => {
      await ok(a, 'PUT', '/config/log', { filter: 'realtime_communication::routing=debug,warn' });
      await until(
        async () =>
          (await ok(b, 'GET', '/config/log'))['filter'] === 'realtime_communication::routing=debug,warn',
        'b has it',
        1000,
      );
      const one = await connect(b, 'ann');
      await emit(one, 'publish', { topic: 'news', payload: 1 });
      await until(() => b.output.includes('"message":"Message routed"'), 'b writes it');
      assert.equal((await call(a, 'PUT', '/config/log', { filter: 'loud' })).status, 400);
      await ok(a, 'DELETE', '/config/log');
      await until(async () => (await ok(b, 'GET', '/config/log'))['filter'] === 'warn', 'b is back', 1000);
    });

    it('see the state of the whole cluster', async () => {
      await connect(b, 'ann');
      const cluster = await ok(a, 'GET', '/cluster');
      const totals = cluster['totals'] as Record<string, number>;
      assert.equal(totals['replicas'], a === b ? 1 : 2);
      assert.equal(totals['active_connections'], 1);
      assert.deepEqual(cluster['silent_replicas'], []);
    });

    it('leave an audit record of every change, with operator, operation, address and result', async () => {
      await call(a, 'POST', '/emergency-mode', { mode: 'funny' });
      await call(
        a,
        'POST',
        '/emergency-mode',
        { mode: 'read_only' },
        tokenOf('mallory', { roles: ['viewer'] }),
      );
      await ok(a, 'POST', '/emergency-mode', { mode: 'normal', reason: 'x' });
      interface Shown {
        id: string;
        user_id: string;
        action: string;
        result: string;
        address: string;
        request: unknown;
      }
      let records: Shown[] = [];
      // A record is stored once its request has been answered.
      await until(async () => {
        ({ records } = (await ok(b, 'GET', '/audit?limit=3')) as unknown as { records: Shown[] });
        return records.filter(({ action }) => action === 'POST /admin/emergency-mode').length === 3;
      }, 'the other replica shows all three');
      assert.deepEqual(
        records.map(({ user_id: user, action, result, request }) => ({ user, action, result, request })),
        [
          {
            user: 'olga',
            action: 'POST /admin/emergency-mode',
            result: 'ok',
            request: { mode: 'normal', reason: 'x' },
          },
          { user: 'mallory', action: 'POST /admin/emergency-mode', result: 'forbidden', request: {} },
          {
            user: 'olga',
            action: 'POST /admin/emergency-mode',
            result: 'invalid_message',
            request: { mode: 'funny' },
          },
        ],
      );
      assert.match(records[0]!.address, /^127\.0\.0\.1/);
      const older = (await ok(b, 'GET', `/audit?limit=1&before=${records[1]!.id}`))['records'] as {
        id: string;
      }[];
      assert.equal(older[0]!.id, records[2]!.id);
    });

    it('get an error for a body that is invalid JSON or too large, with an audit record', async () => {
      const post = (body: string) =>
        fetch(`${a.url}/admin/broadcast`, {
          method: 'POST',
          headers: { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` },
          body,
        });
      assert.equal((await post('{"data": ')).status, 400);
      assert.equal((await post(`{"data": "${'x'.repeat(2_000_000)}"}`)).status, 413);
      const { records } = (await ok(a, 'GET', '/audit?limit=2')) as { records: { result: string }[] };
      assert.deepEqual(
        records.map(({ result }) => result),
        ['message_too_large', 'invalid_json'],
      );
    });

    it('get an error for a request that no route can parse, with an audit record if it is not a GET', async () => {
      const send = (method: string, path: string, headers: Record<string, string> = {}) =>
        fetch(`${a.url}/admin${path}`, {
          method,
          headers: { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}`, ...headers },
          ...(method !== 'GET' && { body: '{}' }),
        });
      const asked = [
        await send('GET', '/topics/%ff'),
        await send('POST', '/topics/%ff/freeze'),
        await send('POST', '/emergency-mode', { 'content-type': 'application/json; charset=klingon' }),
        await send('POST', '/emergency-mode', { 'content-encoding': 'zip' }),
        await send('PATCH', '/emergency-mode'),
        await send('POST', '/nowhere'),
      ];
      assert.deepEqual(
        asked.map(({ status }) => status),
        [400, 400, 400, 400, 405, 404],
      );
      await until(async () => {
        const { records } = (await ok(b, 'GET', '/audit?limit=5')) as { records: Record<string, string>[] };
        const received = records.map(({ action, result }) => `${action} ${result}`).reverse();
        return (
          received.join() ===
          [
            'POST /admin/topics/%ff/freeze invalid_message',
            'POST /admin/emergency-mode invalid_message',
            'POST /admin/emergency-mode invalid_message',
            'PATCH /admin/emergency-mode method_not_allowed',
            'POST /admin/nowhere not_found',
          ].join()
        );
      }, 'all are recorded');
    });

    it('leave an audit record of an aborted upload', async () => {
      const { port } = new URL(a.url);
      const upload = connectTcp(Number(port), '127.0.0.1');
      const token = tokenOf('olga', { roles: ['admin'] });
      await new Promise<void>((resolve) =>
        upload.write(
          `POST /admin/sessions/restore HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 100\r\n\r\n[{"id":`,
          () => resolve(),
        ),
      );
      upload.destroy();
      await until(async () => {
        const { records } = (await ok(b, 'GET', '/audit?limit=1')) as { records: Record<string, string>[] };
        return records[0]?.['action'] === 'POST /admin/sessions/restore';
      }, 'it is recorded');
      const { records } = (await ok(b, 'GET', '/audit?limit=1')) as { records: Record<string, string>[] };
      assert.equal(records[0]!['result'], 'invalid_message');
    });

    it('get an error for an invalid request, and nothing changes', async () => {
      const table: [string, string, object | undefined, RegExp][] = [
        ['POST', '/emergency-mode', {}, /mode/],
        [
          'POST',
          '/emergency-mode',
          { mode: 'read_only', resaon: 'x' },
          /unknown field resaon; did you mean reason\?/,
        ],
        ['PUT', '/config/rate-limits', {}, /connection_rps/],
        ['PUT', '/config/rate-limits', { user_rps: -1 }, /user_rps/],
        ['POST', '/broadcast', { data: { message: '' } }, /data.message/],
        ['POST', '/topics/a%20b/freeze', {}, /topic/],
        ['GET', '/connections?limit=0', undefined, /limit/],
        ['PUT', '/config/log', { filter: ' , ' }, /filter/],
        ['PUT', '/config/log', { filter: '=debug' }, /filter/],
      ];
      for (const [method, path, body, message] of table) {
        const answer = await call(a, method, path, body);
        assert.equal(answer.status, 400, path);
        assert.match(String(answer.body['error']!['message']), message);
      }
      const state = await ok(a, 'GET', '/emergency-mode');
      assert.deepEqual([state['mode'], state['frozen_topics'], state['switched']], ['normal', [], {}]);
    });

    if (storage === 'redis') {
      it('keep their switches over a restart of all replicas', async () => {
        await ok(a, 'POST', '/emergency-mode', { mode: 'maintenance' });
        await ok(a, 'POST', '/topics/ice/freeze');
        await ok(a, 'PUT', '/config/rate-limits', { connection_rps: 77 });
        await Promise.all([a.end('SIGKILL'), b.end('SIGKILL')]);
        await Promise.all([a.run(), b.run()]);
        const state = await ok(b, 'GET', '/emergency-mode');
        assert.deepEqual(
          [state['mode'], state['frozen_topics'], state['rate_limits']!['connection_rps']],
          ['maintenance', ['ice'], 77],
        );
        await ok(a, 'POST', '/emergency-mode', { mode: 'normal' });
        await ok(a, 'POST', '/topics/ice/unfreeze');
        await ok(a, 'DELETE', '/config/rate-limits');
      });

      it('can read while Redis is unreachable; changes are refused, and work again when it is reachable', async () => {
        await redis!.signal('SIGSTOP');
        await until(
          async () => (await a.json<Json>('/health'))['redis']!['state'] === 'down',
          'a detects it',
          10_000,
        );
        assert.equal((await call(a, 'GET', '/emergency-mode')).status, 200);
        assert.equal((await call(a, 'GET', '/connections')).status, 200);
        const refused = await call(a, 'POST', '/emergency-mode', { mode: 'read_only' });
        assert.deepEqual([refused.status, refused.body['error']!['code']], [503, 'unavailable']);
        await redis!.signal('SIGCONT');
        await until(
          async () => (await call(a, 'POST', '/presence/restore')).status === 200,
          'changes work',
          10_000,
        );
        assert.equal((await ok(b, 'GET', '/emergency-mode'))['mode'], 'normal');
        const { records } = (await ok(a, 'GET', '/audit?limit=20')) as { records: { result: string }[] };
        assert.ok(
          records.some(({ result }) => result === 'unavailable'),
          'changes refused meanwhile are recorded too',
        );
      });

      it('get an answer in time that a change may have been made if Redis stalls during it; the change is made and recorded', async () => {
        await redis!.signal('SIGSTOP');
        const startAt = performance.now();
        const [looked, changed] = await Promise.all([
          call(b, 'GET', '/topics/some'),
          call(a, 'POST', '/emergency-mode', { mode: 'read_only', reason: 'stalled' }),
        ]);
        const tookMs = performance.now() - startAt;
        assert.ok(tookMs < 9000, `${Math.round(tookMs)} ms`);
        assert.equal(looked.status >= 503, true, String(looked.status));
        assert.deepEqual([changed.status, changed.body['error']!['code']], [503, 'outcome_unknown']);
        await redis!.signal('SIGCONT');
        for (const replica of [a, b])
          await until(
            async () => (await replica.json<Json>('/health'))['mode'] === 'read_only',
            'Redis has run the waiting commands, and all replicas have the change',
          );
        await until(async () => {
          const { body } = await call(b, 'GET', '/audit?limit=10');
          const records = (body['records'] ?? []) as { result: string; request: { reason?: string } }[];
          return records.some(
            ({ result, request }) => result === 'outcome_unknown' && request.reason === 'stalled',
          );
        }, 'the record is stored');
        await ok(a, 'POST', '/emergency-mode', { mode: 'normal' });
      });

      it('keep their switches when Redis comes back empty', async () => {
        await ok(a, 'POST', '/emergency-mode', { mode: 'read_only' });
        await ok(a, 'POST', '/topics/ice/freeze');
        await until(async () => (await b.json<Json>('/health'))['mode'] === 'read_only', 'b has it');
        const stored = await redis!.command('HLEN rtc:control');
        await redis!.signal('SIGKILL');
        await redis!.run();
        await until(
          async () => (await redis!.command('HLEN rtc:control')) === stored,
          'all of them are restored',
        );
        await Promise.all([a.end('SIGKILL'), b.end('SIGKILL')]);
        await Promise.all([a.run(), b.run()]);
        for (const replica of [a, b]) {
          const { mode, frozen_topics: frozen } = await ok(replica, 'GET', '/emergency-mode');
          assert.deepEqual([mode, frozen], ['read_only', ['ice']]);
        }
        await ok(a, 'POST', '/emergency-mode', { mode: 'normal' });
        await ok(a, 'POST', '/topics/ice/unfreeze');
      });
    }
  });
}
