import assert from 'node:assert/strict';
import jwt from 'jsonwebtoken';
import { io, type Socket } from 'socket.io-client';
import WebSocket from 'ws';
import type { WireError } from '../../shared/errors.js';
import { ok, request, type Json } from '../support/admin.js';
import { connectClient, JsonClient } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { secret, TestReplica, tokenOf } from '../support/replica.js';
import { ReplicaPair, titleOf } from '../support/replica-pair.js';
import { until } from '../support/wait.js';

/** Requests a new pair as curl does: JSON with the content type of a form. */
async function refresh(replica: TestReplica, token: unknown): Promise<{ status: number; body: Json }> {
  const response = await fetch(`${replica.url}/api/auth/refresh`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: JSON.stringify({ refresh_token: token }),
  });
  return { status: response.status, body: (await response.json()) as Json };
}

/** The refusal of a connection with a token; undefined if it is accepted. */
async function refusalOf(replica: TestReplica, token: string): Promise<WireError | undefined> {
  const socket = io(replica.url, {
    forceNew: true,
    reconnection: false,
    transports: ['websocket'],
    auth: { token },
  });
  try {
    return await new Promise((resolve) => {
      socket.once('connect', () => resolve(undefined));
      // For a handshake refused by HTTP, the client reports no more than that.
      socket.once('connect_error', (error: Error & { data?: WireError }) =>
        resolve(error.data ?? { code: 'internal', message: error.message }),
      );
    });
  } finally {
    socket.disconnect();
  }
}

const nextSecond = async () => {
  const second = Math.floor(Date.now() / 1000);
  await until(() => Math.floor(Date.now() / 1000) > second, 'the next second begins');
};

for (const storage of ['redis', 'memory'] as const) {
  describe(`[AUTH] issued tokens, with ${titleOf(storage)}`, () => {
    let pair: ReplicaPair;
    let redis: TestRedis | undefined;
    let a: TestReplica;
    let b: TestReplica;
    before(async () => {
      pair = await ReplicaPair.start(storage, {}, 'aof');
      ({ a, b, redis } = pair);
    });
    after(() => pair.stop());
    const isBack = async () => {
      for (const replica of [a, b])
        await until(
          async () => (await replica.json<Json>('/health'))['redis'].state === 'up',
          'it is reachable again',
        );
    };
    const issue = async (body: object): Promise<Json> => ok(a, 'POST', '/tokens', body);

    it('come in pairs: one connects, and the other gets the next pair from any replica', async () => {
      const pair = await issue({ user_id: 'ann', roles: ['user'], topics: ['news'] });
      const socket = await connectClient(b.url, 'ann', { auth: { token: pair['access_token'] } });
      assert.deepEqual(
        (socket.status['topics'] as { topic: string }[]).map(({ topic }) => topic),
        ['news'],
      );
      socket.disconnect();
      assert.equal((await refusalOf(b, pair['refresh_token'] as string))!.code, 'unauthorized');
      assert.equal((await refresh(a, pair['access_token'])).status, 401);
      const next = await refresh(b, pair['refresh_token']);
      assert.equal(next.status, 200);
      const claims = jwt.verify(next.body['access_token'] as string, secret) as jwt.JwtPayload;
      assert.deepEqual([claims.sub, claims['roles'], claims['topics']], ['ann', ['user'], ['news']]);
      assert.equal(await refusalOf(a, next.body['access_token'] as string), undefined);
      assert.ok(Math.abs((next.body['expires_in'] as number) - 900) <= 1);
    });

    it('are the same pair for a repetition within a short time, because the first response may be lost', async () => {
      const pair = await issue({ user_id: 'ann' });
      const answers = await Promise.all(
        [a, b, a, b].map((replica) => refresh(replica, pair['refresh_token'])),
      );
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 200, 200],
      );
      assert.equal(new Set(answers.map(({ body }) => body['refresh_token'] as string)).size, 1);
    });

    it('are refused with a reason if they are invalid', async () => {
      for (const token of ['', 'x', 7, undefined])
        assert.ok([400, 401].includes((await refresh(a, token)).status));
      const foreign = jwt.sign({ sub: 'ann', typ: 'refresh', jti: 'j', fam: 'f' }, 'another secret', {
        expiresIn: 60,
      });
      assert.equal((await refresh(a, foreign)).body['error'].code, 'unauthorized');
      const old = jwt.sign({ sub: 'ann', typ: 'refresh', jti: 'j', fam: 'f' }, secret, { expiresIn: -3600 });
      assert.equal((await refresh(a, old)).body['error'].code, 'token_expired');
    });

    it('of a revoked user close every connection on every replica within a second, and are refused from then on', async () => {
      const token = tokenOf('eve', { iat: Math.floor(Date.now() / 1000) });
      const pair = await issue({ user_id: 'eve' });
      const sockets: Socket[] = [];
      const codes: string[] = [];
      for (const replica of [a, b, a, b]) {
        const socket = await connectClient(replica.url, 'eve', { auth: { token } });
        socket.on('error', ({ code }: WireError) => codes.push(code));
        sockets.push(socket);
      }
      const json = [a, b].map((replica) => new JsonClient(replica.webSocketUrl, 'eve'));
      await until(() => json.every((client) => client.of('Status').length > 0), 'they are connected');
      const other = await connectClient(b.url, 'ann');

      await ok(a, 'POST', '/users/eve/revoke-tokens', { reason: 'stolen' });
      await until(
        () =>
          sockets.every(({ connected }) => !connected) &&
          json.every(({ webSocket }) => webSocket.readyState === 3),
        'all are closed',
        1000,
      );
      await until(() => codes.length === 4, 'they get the reason');
      assert.deepEqual(new Set(codes), new Set(['token_revoked']));
      assert.ok(other.connected, 'other users stay connected');
      other.disconnect();

      for (const replica of [a, b]) {
        assert.equal((await refusalOf(replica, token))!.code, 'token_revoked');
        const upgrade = await fetch(`${replica.url}/api/history?topic=x`, {
          headers: { authorization: `Bearer ${token}` },
        });
        assert.equal(upgrade.status, 401);
      }
      assert.equal((await refresh(b, pair['refresh_token'])).body['error'].code, 'token_revoked');
      await nextSecond();
      for (const replica of [a, b])
        assert.equal(await refusalOf(replica, tokenOf('eve')), undefined, 'a new login is accepted');
    });

    it('are refused if they were revoked while their handshake waited', async () => {
      const environment = redis === undefined ? {} : { REDIS_URL: redis.url };
      const slow = await TestReplica.start({
        ...environment,
        REPLICA_ID: 'slow',
        RTC_WEBSOCKET_HANDSHAKES_PER_SEC: '1',
      });
      try {
        const token = tokenOf('ivy', { jti: `ivy-${storage}` });
        const answerOf = (webSocket: WebSocket) =>
          new Promise<number>((resolve) => {
            webSocket.on('open', () => resolve(101));
            webSocket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode!));
            webSocket.on('error', () => {});
          });
        const codes: Promise<unknown>[] = [
          answerOf(new WebSocket(`${slow.webSocketUrl}?token=${tokenOf('ann')}`)),
          ...[1, 2].map(() => answerOf(new WebSocket(`${slow.webSocketUrl}?token=${token}`))),
        ];
        assert.equal(await codes[0], 101, 'the first does not wait');
        const socket = refusalOf(slow, token);
        await ok(slow, 'POST', '/tokens/revoke', { token_id: `ivy-${storage}` });
        assert.deepEqual(await Promise.all(codes), [101, 401, 401]);
        assert.equal((await socket)?.code, 'token_revoked');
        const { active_connections: connections } = await slow.json<Json>('/metrics');
        assert.equal(connections, 1);
      } finally {
        await slow.end('SIGKILL');
      }
    });

    it('can be revoked one by one, by id or by the whole token', async () => {
      const [one, two] = [tokenOf('max', { jti: 'one' }), tokenOf('max', { jti: 'two' })];
      const sockets = [
        await connectClient(b.url, 'max', { auth: { token: one } }),
        await connectClient(b.url, 'max', { auth: { token: two } }),
      ];
      await ok(a, 'POST', '/tokens/revoke', { token_id: 'one' });
      await until(() => !sockets[0]!.connected, 'it is closed', 1000);
      assert.ok(sockets[1]!.connected);
      const { records } = (await ok(a, 'GET', '/audit?limit=1')) as { records: { request: unknown }[] };
      assert.deepEqual(records[0]!.request, { token_id: 'one' });
      await ok(a, 'POST', '/tokens/revoke', { token: two });
      await until(() => !sockets[1]!.connected, 'it is closed', 1000);
      const forged = jwt.sign({ sub: 'max', jti: 'three' }, 'another secret');
      assert.equal((await request(a, 'POST', '/tokens/revoke', { token: forged })).status, 401);
      assert.equal((await request(a, 'POST', '/tokens/revoke', {})).status, 400);
      const { revocations } = (await ok(b, 'GET', '/tokens/revocations')) as {
        revocations: { subject: string }[];
      };
      const subjects = revocations.map(({ subject }) => subject);
      for (const subject of ['token:one', 'token:two', 'user:eve'])
        assert.ok(subjects.includes(subject), subject);
    });

    it('issued in the future are refused, because they would remain valid after a revocation', async () => {
      const early = tokenOf('zoe', { iat: Math.floor(Date.now() / 1000) + 3600 });
      const refusal = await refusalOf(a, early);
      assert.deepEqual([refusal?.code, refusal?.field], ['unauthorized', 'iat']);
    });

    it('never appear in the log', () => {
      for (const replica of [a, b]) assert.doesNotMatch(replica.output, /eyJ[\w-]+\.[\w-]+\./);
    });

    if (storage === 'redis') {
      it('stay revoked after a restart of all replicas and Redis, and while Redis is unreachable', async () => {
        const token = tokenOf('kim', { jti: 'kim-1' });
        await ok(b, 'POST', '/tokens/revoke', { token_id: 'kim-1' });
        await Promise.all([a.end('SIGKILL'), b.end('SIGKILL')]);
        // The log file is written once per second.
        await redis!.command('CONFIG SET appendfsync always');
        await redis!.signal('SIGTERM');
        await redis!.run();
        await Promise.all([a.run(), b.run()]);
        assert.equal((await refusalOf(a, token))!.code, 'token_revoked');
        await redis!.signal('SIGKILL');
        await until(async () => (await b.json<Json>('/health'))['redis'].state === 'down', 'b detects it');
        assert.equal((await refusalOf(b, token))!.code, 'token_revoked');
        await redis!.run();
        await isBack();
      });

      it('stay revoked when Redis comes back empty', async () => {
        const token = tokenOf('lea', { jti: 'lea-1' });
        await ok(b, 'POST', '/tokens/revoke', { token_id: 'lea-1' });
        await until(async () => (await refusalOf(a, token)) !== undefined, 'a has it');
        await redis!.command('FLUSHALL');
        await until(
          async () => (await redis!.command('HEXISTS rtc:revocations token:lea-1')) === ':1',
          'it is restored',
        );
        await b.end('SIGKILL');
        await b.run();
        for (const replica of [a, b]) assert.equal((await refusalOf(replica, token))?.code, 'token_revoked');
      });

      it('are refused by a replica that started while Redis was unreachable, until it has read the revocations', async () => {
        const token = tokenOf('mia', { jti: 'mia-1' });
        await ok(a, 'POST', '/tokens/revoke', { token_id: 'mia-1' });
        await redis!.command('CONFIG SET appendfsync always');
        await b.end('SIGKILL');
        await redis!.signal('SIGTERM');
        await b.run();
        const headers = { authorization: `Bearer ${token}` };
        for (const path of [
          '/socket.io/?EIO=4&transport=polling',
          '/api/history?topic=x',
          '/admin/cluster',
        ]) {
          const answer = await fetch(b.url + path, { headers });
          const { error } = (await answer.json()) as { error: WireError };
          assert.deepEqual([answer.status, error.code], [503, 'unavailable'], path);
        }
        assert.equal((await fetch(`${b.url}/health`)).status, 200);
        await redis!.run();
        await isBack();
        await until(async () => (await refusalOf(b, tokenOf('ann'))) === undefined, 'it accepts clients');
        assert.equal((await refusalOf(b, token))?.code, 'token_revoked');
      });

      it('are not used up while Redis is unreachable', async () => {
        const pair = await issue({ user_id: 'ann' });
        await redis!.signal('SIGSTOP');
        const refused = await refresh(a, pair['refresh_token']);
        assert.deepEqual([refused.status, refused.body['error'].code], [503, 'unavailable']);
        await redis!.signal('SIGCONT');
        await until(async () => (await refresh(a, pair['refresh_token'])).status === 200, 'it can be used');
      });
    }
  });
}
