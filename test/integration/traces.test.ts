import assert from 'node:assert/strict';
import { ok, request as call, type Json } from '../support/admin.js';
import { connectClient, emit, JsonClient } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { ReplicaPair, titleOf } from '../support/replica-pair.js';
import { until } from '../support/wait.js';
import { TestWebhook } from '../support/webhook.js';

interface Event {
  stage: string;
  at: number;
  replica_id: string;
  details: Json;
}

/** The trace of a message, after it has reached a stage. */
async function traceOf(replica: TestReplica, id: unknown, stage: string): Promise<Event[]> {
  let events: Event[] = [];
  await until(async () => {
    const answer = await call(replica, 'GET', `/messages/${String(id)}/trace`);
    events = (answer.body['events'] ?? []) as Event[];
    return events.some((event) => event.stage === stage);
  }, `the message is ${stage}`);
  return (await ok(replica, 'GET', `/messages/${String(id)}/trace`))['events'] as Event[];
}

const stagesOf = (events: readonly Event[]) => events.map(({ stage }) => stage);

for (const storage of ['redis', 'memory'] as const) {
  describe(`[TRACE] traced messages, with ${titleOf(storage)}`, () => {
    let pair: ReplicaPair;
    let a: TestReplica;
    let b: TestReplica;
    const connect = (replica: TestReplica, user: string) => pair.connect(replica, user);

    before(async () => {
      // Only requested traces: sampling has its own test.
      pair = await ReplicaPair.start(storage, { RTC_TRACING_SAMPLE_PER_SEC: '0' });
      ({ a, b } = pair);
    });
    afterEach(() => pair.disconnectAll());
    after(() => pair.stop());

    it('have a trace from the command to the sockets, returned by any replica in order of time', async () => {
      const publisher = await connect(a, 'ann');
      const readers = [await connect(b, 'bob'), await connect(b, 'carl')];
      for (const reader of readers) await emit(reader, 'subscribe', { topics: ['traced'] });
      const answer = await emit(publisher, 'publish', { topic: 'traced', payload: 1, trace: true });
      assert.deepEqual([answer.ok, answer['traced']], [true, true]);

      const events = await traceOf(a, answer.id, 'Delivered');
      assert.deepEqual(stagesOf(events), ['Received', 'Validated', 'Routed', 'Queued', 'Delivered']);
      assert.deepEqual(
        events.map(({ at }) => at),
        events.map(({ at }) => at).sort((x, y) => x - y),
        'in order of time',
      );
      const there = b === a ? 'a' : 'b';
      assert.deepEqual(
        events.map(({ replica_id }) => replica_id),
        ['a', 'a', 'a', there, there],
      );
      const [received, , routed, , delivered] = events.map(({ details }) => details);
      assert.deepEqual(
        [received!['topic'], received!['user_id'], received!['connection_id'], received!['command']],
        ['traced', 'ann', publisher.id, 'publish'],
      );
      assert.deepEqual(
        [routed!['sequence'], routed!['epoch'], routed!['target_count']],
        [answer.sequence, answer.epoch, 1],
      );
      assert.deepEqual([delivered!['connections'], delivered!['sequence']], [2, answer.sequence]);
      assert.deepEqual(await traceOf(b, answer.id, 'Delivered'), events, 'the same from the other replica');
    });

    it('look like other messages to clients', async () => {
      const reader = await connect(b, 'bob');
      const json = new JsonClient(b.webSocketUrl, 'carl');
      await until(() => json.of('Status').length > 0, 'connected');
      json.send({ type: 'Subscribe', data: { topics: ['plain'] } });
      await emit(reader, 'subscribe', { topics: ['plain'] });
      await until(() => json.of('Status').length > 1, 'subscribed');
      const got: Json[] = [];
      reader.on('message', (message: Json) => got.push(message));
      const publisher = await connect(a, 'ann');
      const bytes = Buffer.from('bytes');
      for (const trace of [true, false])
        await emit(publisher, 'publish', { topic: 'plain', payload: { bytes }, trace });
      await until(() => got.length === 2 && json.received.messages.length === 2, 'both arrive');
      assert.deepEqual(Object.keys(got[0]!), Object.keys(got[1]!));
      assert.deepEqual([got[0]!['payload'], got[1]!['payload']], [{ bytes }, { bytes }]);
      assert.deepEqual(
        Object.keys(json.received.messages[0]!).sort(),
        Object.keys(json.received.messages[1]!).sort(),
      );
      json.close();
    });

    it('are selected by topic and by user on all replicas while a rule of an operator is in force', async () => {
      await ok(b, 'POST', '/trace-rules', { topic: 'watched', for_secs: 60, reason: 'a test' });
      await ok(b, 'POST', '/trace-rules', { user: 'dora' });
      let rules: Json[] = [];
      await until(
        async () => (rules = (await ok(a, 'GET', '/trace-rules'))['rules'] as Json[]).length === 2,
        'the rules apply on the other replica',
        1000,
      );
      assert.deepEqual(
        rules.map(({ topic, user, by, reason }) => [topic ?? user, by, reason]),
        [
          ['watched', 'olga', 'a test'],
          ['dora', 'olga', undefined],
        ],
      );
      const ann = await connect(a, 'ann');
      const dora = await connect(a, 'dora');
      const watched = await emit(ann, 'publish', { topic: 'watched', payload: 1 });
      const others = await emit(ann, 'publish', { topic: 'others', payload: 1 });
      const doras = await emit(dora, 'publish', { topic: 'others', payload: 1 });
      const toDora = await emit(ann, 'direct', { to: 'dora', payload: 1, confirm: 'stored' });
      for (const { id } of [watched, doras, toDora])
        assert.ok(stagesOf(await traceOf(b, id, 'Routed')).includes('Received'), String(id));
      assert.equal((await call(b, 'GET', `/messages/${others.id}/trace`)).status, 404);

      const { messages } = await ok(b, 'GET', '/traces?topic=watched');
      assert.deepEqual(
        (messages as Json[]).map(({ message_id, user_id, replica_id }) => [message_id, user_id, replica_id]),
        [[watched.id, 'ann', 'a']],
      );
      await ok(a, 'DELETE', '/trace-rules?topic=watched');
      await ok(a, 'DELETE', '/trace-rules?user=dora');
      await until(async () => {
        const { id } = await emit(ann, 'publish', { topic: 'watched', payload: 2 });
        return (await call(a, 'GET', `/messages/${id}/trace`)).status === 404;
      }, 'the rule is removed');
      assert.equal((await call(a, 'DELETE', '/trace-rules?topic=watched')).status, 404);
      assert.equal((await call(a, 'POST', '/trace-rules', { topic: 'x', user: 'y' })).status, 400);
    });

    it('are no longer selected when a rule has expired', async () => {
      await ok(a, 'POST', '/trace-rules', { topic: 'briefly', for_secs: 1 });
      await until(
        async () => ((await ok(a, 'GET', '/trace-rules'))['rules'] as Json[]).length === 0,
        'ended',
      );
      const ann = await connect(a, 'ann');
      const { id } = await emit(ann, 'publish', { topic: 'briefly', payload: 1 });
      assert.equal((await call(a, 'GET', `/messages/${id}/trace`)).status, 404);
    });

    it('show where and why they failed, also before the command ran', async () => {
      const ann = await connect(a, 'ann');
      await ok(a, 'POST', '/topics/icy/freeze');
      await ok(a, 'POST', '/trace-rules', { topic: 'icy' });
      const frozen = await emit(ann, 'publish', { topic: 'icy', payload: 1, trace: true });
      assert.equal(frozen.error?.code, 'topic_frozen');
      await ok(a, 'POST', '/topics/icy/unfreeze');
      await ok(a, 'POST', '/emergency-mode', { mode: 'read_only' });
      const refused = await emit(ann, 'publish', { topic: 'icy', payload: 1 });
      assert.equal(refused.error?.code, 'read_only');
      await ok(a, 'POST', '/emergency-mode', { mode: 'normal' });
      const invalid = await emit(ann, 'publish', { topic: 'icy', payload: 1, unknown: 1 });
      assert.equal(invalid.error?.code, 'invalid_message');
      const { messages } = await ok(b, 'GET', '/traces?topic=icy&failed=true');
      assert.deepEqual(
        (messages as Json[]).map(({ stage, code, user_id }) => [stage, code, user_id]),
        [
          ['Failed', 'invalid_message', 'ann'],
          ['Failed', 'read_only', 'ann'],
          ['Failed', 'topic_frozen', 'ann'],
        ],
      );
      const events = await traceOf(b, (messages as Json[])[2]!['message_id'], 'Failed');
      assert.deepEqual(stagesOf(events), ['Received', 'Failed']);
      await ok(a, 'DELETE', '/trace-rules?topic=icy');
    });

    it('show which user acknowledged them', async () => {
      const ann = await connect(a, 'ann');
      const bob = await connect(b, 'bob');
      bob.on('direct', (_message: unknown, acknowledge: () => void) => acknowledge());
      // Messages stored before the inbox of a new user is open are read from the log.
      await until(
        async () => (await emit(ann, 'direct', { to: 'bob', payload: 'there?' }))['delivered'] === 1,
        'the inbox is open',
      );
      const answer = await emit(ann, 'direct', { to: 'bob', payload: 'hello', trace: true });
      assert.deepEqual([answer['delivered'], answer['traced']], [1, true]);
      const events = await traceOf(b, answer.id, 'Delivered');
      assert.deepEqual(stagesOf(events).slice(0, 5), [
        'Received',
        'Validated',
        'Routed',
        'Queued',
        'Delivered',
      ]);
      assert.deepEqual(events.at(-1)!.details, { acknowledged: 1, expected: 1 });
    });

    it('show the delivery to clients that read them from the log', async () => {
      const ann = await connect(a, 'ann');
      const bob = await connect(b, 'bob');
      const first = await emit(ann, 'publish', { topic: 'late', payload: 1 });
      const { id } = await emit(ann, 'publish', { topic: 'late', payload: 2, trace: true });
      const since = { late: { epoch: first.epoch, sequence: first.sequence } };
      await emit(bob, 'subscribe', { topics: ['late'], since });
      const events = await traceOf(a, id, 'Delivered');
      const { details } = events.at(-1)!;
      assert.deepEqual([details['connection_id'], details['from_log']], [bob.id, true]);
    });
  });
}

describe('[TRACE] sampling and export', () => {
  it('samples a limited number of messages per second at any rate', async () => {
    const replica = await TestReplica.start({ RTC_TRACING_SAMPLE_PER_SEC: '5' });
    const ann = await connectClient(replica.url, 'ann');
    try {
      const startedAt = Date.now();
      while (Date.now() - startedAt < 2000)
        await Promise.all(
          Array.from({ length: 50 }, () => emit(ann, 'publish', { topic: 'busy', payload: 1 })),
        );
      const secs = (Date.now() - startedAt) / 1000;
      const { traces } = await replica.json<Json>('/metrics');
      // The number of one second at once, then the rate.
      assert.ok(
        traces['sampled'] >= 10 && traces['sampled'] <= 5 * (secs + 1) + 1,
        String(traces['sampled']),
      );
      const { messages } = await ok(replica, 'GET', '/traces?topic=busy');
      assert.equal((messages as Json[]).length, traces['sampled']);
    } finally {
      ann.disconnect();
      await replica.end('SIGKILL');
    }
  });

  it('traces a flood of requests up to a limit, and reports which got no trace', async () => {
    const replica = await TestReplica.start({ RTC_TRACING_FORCED_PER_SEC: '10' });
    const ann = await connectClient(replica.url, 'ann');
    try {
      const answers = await Promise.all(
        Array.from({ length: 100 }, () => emit(ann, 'publish', { topic: 'many', payload: 1, trace: true })),
      );
      assert.ok(answers.every((answer) => answer.ok));
      const traced = answers.filter((answer) => answer['traced'] === true).length;
      assert.ok(traced >= 10 && traced < 30, String(traced));
    } finally {
      ann.disconnect();
      await replica.end('SIGKILL');
    }
  });

  it('exports spans of all replicas to one trace, and continues while the collector is unreachable', async () => {
    const redis = await TestRedis.start();
    const collector = await TestWebhook.start();
    const environment = { REDIS_URL: redis.url, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
    const a = await TestReplica.start({ ...environment, REPLICA_ID: 'a' });
    const b = await TestReplica.start({ ...environment, REPLICA_ID: 'b' });
    const ann = await connectClient(a.url, 'ann');
    const bob = await connectClient(b.url, 'bob');
    try {
      await emit(bob, 'subscribe', { topics: ['spans'] });
      const { id } = await emit(ann, 'publish', { topic: 'spans', payload: 1, trace: true });
      const spans = () =>
        collector.posts.flatMap(({ body }) =>
          (body['resourceSpans'] as Json[]).flatMap(({ scopeSpans }) =>
            (scopeSpans as Json[]).flatMap((scope) => scope['spans'] as Json[]),
          ),
        );
      const traceId = id!.replaceAll('-', '');
      const own = () => spans().filter((span) => span['traceId'] === traceId);
      await until(() => own().length === 2, 'both spans arrive', 15_000);
      const published = own().find(({ name }) => name === 'publish spans')!;
      const delivered = own().find(({ name }) => name === 'deliver spans')!;
      assert.equal(delivered['parentSpanId'], published['spanId']);
      assert.equal(published['parentSpanId'] ?? '', '');
      assert.deepEqual(
        (published['events'] as Json[]).map(({ name }) => name),
        ['Received', 'Validated', 'Routed'],
      );
      await until(
        async () => (await a.json<Json>('/metrics'))['traces']['spans_exported'] > 0,
        'they are counted',
      );

      await collector.stop();
      for (let i = 0; i < 3; i++)
        assert.equal((await emit(ann, 'publish', { topic: 'spans', payload: 1, trace: true })).ok, true);
      await until(
        async () => (await a.json<Json>('/metrics'))['traces']['spans_failed'] > 0,
        'lost spans are counted',
        20_000,
      );
      await until(() => a.output.includes('Spans not exported'), 'the log reports them');
      assert.equal(await a.end('SIGTERM'), 0, 'it stops as usual');
    } finally {
      ann.disconnect();
      bob.disconnect();
      await a.end('SIGKILL');
      await b.end('SIGKILL');
      await collector.stop();
      await redis.stop();
    }
  });

  it('needs a role', async () => {
    const replica = await TestReplica.start();
    try {
      const viewer = tokenOf('vera', { roles: ['viewer'] });
      assert.equal((await call(replica, 'GET', '/messages/x/trace', undefined, null)).status, 401);
      assert.equal((await call(replica, 'GET', '/traces', undefined, viewer)).status, 200);
      assert.equal((await call(replica, 'POST', '/trace-rules', { topic: 'x' }, viewer)).status, 403);
    } finally {
      await replica.end('SIGKILL');
    }
  });
});
