import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'socket.io-client';
import WebSocket from 'ws';
import type { Message } from '../../shared/message.js';
import { ok, request as call, type Json } from '../support/admin.js';
import { connectClient, Received, type TestAnswer } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';
import { TestWebhook } from '../support/webhook.js';

const publish = (socket: Socket, topic: string, payload: unknown = 1): Promise<TestAnswer> =>
  socket.timeout(30_000).emitWithAck('publish', { topic, payload }) as Promise<TestAnswer>;

describe('[ACTOR] failing actors and hooks, on two replicas', () => {
  const directory = mkdtempSync(join(tmpdir(), 'rtc-faults-'));
  const file = join(directory, 'faults');
  /** The fault switch: sets what fails from now on. */
  const failing = (...what: string[]) => writeFileSync(file, what.join('\n'));
  let redis: TestRedis;
  let webhook: TestWebhook;
  let a: TestReplica;
  let b: TestReplica;
  let publisher: Socket;
  let reader: Socket;
  const received = new Map<string, Received>();
  const sockets: Socket[] = [];
  const connect = async (replica: TestReplica, user: string, auth: object = {}) => {
    const socket = await connectClient(replica.url, user, { auth });
    sockets.push(socket);
    return socket;
  };

  before(async () => {
    redis = await TestRedis.start();
    webhook = await TestWebhook.start();
    const environment = {
      REDIS_URL: redis.url,
      FAULTS: file,
      RTC_ADMIN_ALERT_WEBHOOK_URL: webhook.url,
      RTC_ACTOR_SYSTEM_RESTART_BACKOFF_MS: '10',
      RTC_ACTOR_SYSTEM_HOOK_TIMEOUT_MS: '300',
    };
    a = await TestReplica.start({ ...environment, REPLICA_ID: 'a' }, undefined, 'hooked');
    b = await TestReplica.start({ ...environment, REPLICA_ID: 'b' }, undefined, 'hooked');
    publisher = await connect(a, 'ann');
    reader = await connect(b, 'bob');
    reader.on('message', (message: Message) => {
      const { topic } = message;
      if (!received.has(topic)) received.set(topic, new Received());
      received.get(topic)!.add(message);
    });
  });
  beforeEach(() => {
    failing();
    webhook.posts.length = 0;
    received.clear();
  });
  after(async () => {
    for (const socket of sockets) socket.disconnect();
    await a.end('SIGKILL');
    await b.end('SIGKILL');
    await webhook.stop();
    await redis.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('restart, stop after more than five failures in a minute, alert once and restart by REST, without effect on other topics', async () => {
    await reader.emitWithAck('subscribe', { topics: ['broken', 'fine'] });
    const operator = await connect(b, 'olga', { token: tokenOf('olga', { roles: ['operator'] }) });
    const notices: Json[] = [];
    for (const socket of [operator, reader])
      socket.on('system_notification', (notice: Json) =>
        notices.push({ ...notice, to: socket === operator ? 'operator' : 'user' }),
      );
    assert.equal((await publish(publisher, 'broken', 'before')).ok, true);

    failing('broken');
    const codes: string[] = [];
    let fine = 0;
    let traffic = true;
    const others = (async () => {
      while (traffic) {
        const answer = await publish(publisher, 'fine', fine);
        assert.equal(answer.ok, true, JSON.stringify(answer));
        fine++;
      }
    })();
    for (let i = 0; i < 8; i++) codes.push((await publish(publisher, 'broken', i)).error?.code ?? 'ok');
    traffic = false;
    await others;
    // Six failures, with a restart after each of the first five. After that every publish is refused.
    assert.deepEqual(codes, [...Array<string>(6).fill('internal'), 'unavailable', 'unavailable']);
    await until(() => received.get('fine')?.messages.length === fine, 'the other topic is complete');
    assert.ok(fine > 0);
    assert.deepEqual(
      received.get('fine')!.sequences,
      Array.from({ length: fine }, (_, i) => i + 1),
    );

    await until(() => webhook.posts.length > 0, 'the webhook gets the alert');
    const { body, headers } = webhook.posts[0]!;
    assert.deepEqual(
      [body['severity'], body['kind'], body['replica_id'], body['message']],
      ['critical', 'actor_stopped', 'a', 'Actor topic:broken stopped due to restart loop'],
    );
    assert.equal(headers['idempotency-key'], body['id']);
    const details = body['details'] as Json;
    assert.deepEqual(
      [details['actor_id'], details['restart_count'], details['last_error']],
      ['topic:broken', 5, 'made to fail on broken'],
    );
    await until(() => notices.length > 0, 'connected operators get the alert');
    assert.deepEqual(
      notices.map(({ to, level, kind }) => [to, level, kind]),
      [['operator', 'error', 'alert']],
    );

    // From the other replica.
    const { actors } = await ok(b, 'GET', '/actors?state=stopped');
    const [stopped] = actors as Json[];
    assert.deepEqual(
      [
        actors.length,
        stopped!['actor_id'],
        stopped!['replica_id'],
        stopped!['restart_count'],
        stopped!['last_error'],
      ],
      [1, 'topic:broken', 'a', 5, 'made to fail on broken'],
    );
    assert.equal(stopped!['failed'], 6);
    assert.ok(stopped!['error_rate'] > 0.8, String(stopped!['error_rate']));
    const { alerts } = await ok(b, 'GET', '/alerts?limit=1');
    assert.equal((alerts as Json[])[0]!['id'], body['id']);
    const metrics = await a.json<Json>('/metrics');
    assert.deepEqual(metrics['actors'], { failures: 6, restarts: 5, stops: 1, stopped: 1 });
    assert.equal(metrics['alerts']['raised'], 1);
    const logged = a.output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Json);
    assert.equal(logged.filter(({ message }) => message === 'Actor failed').length, 6);
    assert.equal(logged.filter(({ message }) => message === 'Actor stopped').length, 1);

    // It stays stopped after the fault is gone, until an operator restarts it.
    failing();
    assert.equal((await publish(publisher, 'broken')).error?.code, 'unavailable');
    const { restarted } = await ok(b, 'POST', '/actors/topic%3Abroken/restart');
    assert.deepEqual(restarted, ['a']);
    const again = await publish(publisher, 'broken', 'after');
    assert.deepEqual([again.ok, again.sequence], [true, 2]);
    await until(() => received.get('broken')?.messages.length === 2, 'the reader has both messages');
    assert.equal(webhook.posts.length, 1, 'alerted once');
    assert.equal((await call(a, 'POST', '/actors/topic%3Anobody/restart')).status, 404);
  });

  it('let publishes wait during a restart, and keep their order', async () => {
    await reader.emitWithAck('subscribe', { topics: ['waits'] });
    assert.equal((await publish(publisher, 'waits', 'first')).ok, true);
    failing('waits');
    const failed = publish(publisher, 'waits', 'fails');
    assert.equal((await failed).error?.code, 'internal');
    failing();
    const answers = await Promise.all(['x', 'y', 'z'].map((one) => publish(publisher, 'waits', one)));
    assert.deepEqual(
      answers.map(({ sequence }) => sequence),
      [2, 3, 4],
    );
    await until(() => received.get('waits')?.messages.length === 4, 'all arrive');
    assert.deepEqual(
      received.get('waits')!.messages.map(({ payload }) => payload),
      ['first', 'x', 'y', 'z'],
    );
    const { actors } = await ok(a, 'GET', '/actors?prefix=topic:waits');
    assert.deepEqual(
      (actors as Json[]).map(({ state, restart_count }) => [state, restart_count]),
      [['running', 1]],
    );
  });

  it('post an alert again, with the same id, until the webhook accepts it', async () => {
    webhook.failNext(2);
    const alert = await ok(a, 'POST', '/alerts/test');
    await until(() => webhook.posts.length === 3, 'three attempts', 15_000);
    assert.deepEqual(
      webhook.posts.map(({ body }) => body['id']),
      [alert['id'], alert['id'], alert['id']],
    );
    await until(async () => (await a.json<Json>('/metrics'))['work_pool']['running'] === 0, 'it is accepted');
    const { alerts, work_pool: pool } = await a.json<Json>('/metrics');
    assert.deepEqual([alerts['undelivered'], pool['failures'] >= 2], [0, true]);
  });

  it('let hooks change a message and its binary parts', async () => {
    await reader.emitWithAck('subscribe', { topics: ['stamped'] });
    const bytes = Buffer.from([0, 1, 2, 255]);
    assert.equal((await publish(publisher, 'stamped', { bytes })).ok, true);
    await until(() => received.get('stamped')?.messages.length === 1, 'it arrives');
    assert.deepEqual(received.get('stamped')!.messages[0]!.payload, { original: { bytes }, stamped: true });
    assert.equal((await publish(publisher, 'too.large')).error?.code, 'message_too_large');
  });

  it('let hooks refuse with their own error, which is not a failure', async () => {
    const refused = await publish(publisher, 'forbidden');
    assert.deepEqual([refused.error?.code, refused.error?.message], ['forbidden', 'no messages of ann']);
    for (let i = 0; i < 8; i++)
      assert.equal((await publish(publisher, 'forbidden')).error?.code, 'forbidden');
    const { rejected } = (await reader.emitWithAck('subscribe', { topics: ['secret', 'open'] })) as {
      rejected: Json[];
    };
    assert.deepEqual(
      rejected.map(({ topic, error }) => [topic, error.code, error.message]),
      [['secret', 'forbidden', 'a secret topic']],
    );
    const mine = (await publisher.emitWithAck('subscribe', { topics: ['secret'] })) as Json;
    assert.equal(mine['topics'].length, 1);
    const { actors } = await ok(a, 'GET', '/actors?state=stopped');
    assert.deepEqual(actors, []);
  });

  it('stop waiting for a hook after its time limit', async () => {
    const startedAt = Date.now();
    assert.equal((await publish(publisher, 'hanging')).error?.code, 'internal');
    const tookMs = Date.now() - startedAt;
    assert.ok(tookMs >= 290 && tookMs < 3000, `${tookMs} ms`);
  });

  it('keep the order of messages, however long their hooks take', async () => {
    await reader.emitWithAck('subscribe', { topics: ['uneven'] });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => publish(publisher, 'uneven', { n })),
    );
    assert.ok(answers.every((answer) => answer.ok));
    await until(() => received.get('uneven')?.messages.length === 10, 'all arrive');
    assert.deepEqual(
      received.get('uneven')!.messages.map(({ payload }) => (payload as { n: number }).n),
      Array.from({ length: 10 }, (_, n) => n),
    );
  });

  it('stop a failing onSubscribe only for its topic', async () => {
    failing('subscribe shaky');
    const codes: string[] = [];
    const subscribe = async (topic: string) => {
      const { rejected } = (await reader.emitWithAck('subscribe', { topics: [topic] })) as {
        rejected: Json[];
      };
      return (rejected[0]?.['error']['code'] as string | undefined) ?? 'ok';
    };
    await until(async () => {
      codes.push(await subscribe('shaky'));
      const { actors } = await ok(b, 'GET', '/actors?state=stopped');
      return (actors as Json[]).some(({ actor_id }) => actor_id === 'hook:onSubscribe:shaky');
    }, 'it is stopped');
    assert.equal(codes.filter((code) => code === 'internal').length, 6);
    assert.equal(await subscribe('steady'), 'ok');
    failing();
    assert.equal(await subscribe('shaky'), 'unavailable');
    await ok(a, 'POST', '/actors/hook%3AonSubscribe%3Ashaky/restart');
    assert.equal(await subscribe('shaky'), 'ok');
  });

  it('call onConnect on both wires, and onDisconnect afterwards', async () => {
    await assert.rejects(connectClient(a.url, 'banned'), (error: { data?: Json }) => {
      assert.deepEqual([error.data?.['code'], error.data?.['message']], ['forbidden', 'you are banned']);
      return true;
    });
    const status = await new Promise<number | undefined>((resolve) => {
      const webSocket = new WebSocket(`${a.webSocketUrl}?token=${tokenOf('banned')}`);
      webSocket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
      webSocket.on('open', () => resolve(undefined));
      webSocket.on('error', () => {});
    });
    assert.equal(status, 403);
    const passing = await connect(a, 'passing');
    passing.disconnect();
    await until(() => a.output.includes('left: passing: client namespace disconnect'), 'the hook is called');
  });
});
