import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import { request } from '../support/admin.js';
import { connectClient, emit, type ClientOptions } from '../support/clients.js';
import { RawReader } from '../support/raw-reader.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { ReplicaPair } from '../support/replica-pair.js';
import { rtc, validJson } from '../support/rtc.js';
import { until } from '../support/wait.js';

interface Why {
  readonly outcome: string;
  readonly complete: boolean;
  readonly replica_id?: string;
  readonly published_at: number;
  readonly delivered_at?: number;
  readonly acknowledged_at?: number;
  readonly paused_from?: number;
  readonly paused_until?: number | null;
  readonly offline_since?: number;
  readonly reason?: string;
  readonly findings: readonly { readonly outcome: string; readonly replica_id?: string }[];
}

const topic = 'news';
const smallOutbox = { RTC_OUTBOX_LIMIT_MESSAGES: '20', RTC_OUTBOX_LIMIT_BYTES: '300000' };

describe('[WHY] why a user did or did not get a message, on two replicas', function () {
  this.timeout(60_000);
  let pair: ReplicaPair;
  const sockets: Socket[] = [];
  const readers: RawReader[] = [];

  before(async () => {
    pair = await ReplicaPair.start('redis', smallOutbox);
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.disconnect();
    for (const reader of readers.splice(0)) reader.close();
  });
  after(() => pair?.stop());

  const connect = async (replica: TestReplica, user: string, options?: ClientOptions) => {
    const socket = await connectClient(replica.url, user, options);
    sockets.push(socket);
    return socket;
  };
  /** A client that is subscribed, and acknowledges what asks for it. */
  const subscriber = async (replica: TestReplica, user: string, name = topic) => {
    const socket = await connect(replica, user, {
      listen: (one) => one.on('message', (_: unknown, ack?: () => void) => ack?.()),
    });
    const { topics } = await emit(socket, 'subscribe', { topics: [name] });
    assert.equal((topics as unknown[]).length, 1);
    return socket;
  };
  const publish = async (replica: TestReplica, name: string, more: object = {}): Promise<string> => {
    const socket = await connect(replica, 'pub');
    const answer = await emit(socket, 'publish', { topic: name, payload: 'hello', ...more });
    assert.equal(answer.ok, true, JSON.stringify(answer));
    return answer.id!;
  };
  const ask = async (replica: TestReplica, id: string, user: string, query = ''): Promise<Why> => {
    const path = `/messages/${id}/recipients/${encodeURIComponent(user)}${query}`;
    const { status, body } = await request(replica, 'GET', path);
    assert.equal(status, 200, JSON.stringify(body));
    return body as Why;
  };
  const left = (replica: TestReplica, user: string) =>
    until(async () => {
      const { body } = await request(replica, 'GET', `/users/${user}`);
      return body['total'] === 0;
    }, `${user} has left`);

  it('gives six users of one message six answers, whichever replica is asked', async () => {
    const { a, b } = pair;
    await subscriber(a, 'acked');
    const slow = await RawReader.open(b.url, 'slow', topic);
    readers.push(slow);
    const gone = await subscriber(b, 'gone');
    await connect(b, 'idle');
    const barred = await connect(a, 'barred', {
      auth: { token: tokenOf('barred', { topics: ['other'] }) },
    });
    const { rejected } = await emit(barred, 'subscribe', { topics: [topic] });
    assert.equal((rejected as { error: { code: string } }[])[0]?.error.code, 'forbidden');
    const beforeLeaving = Date.now();
    gone.disconnect();
    await left(b, 'gone');

    slow.stall();
    const filler = await connect(a, 'filler');
    const payload = 'x'.repeat(50_000);
    const isBehind = async () => {
      const { body } = await request(a, 'GET', `/topics/${topic}`);
      return (body['replicas'] as { behind: number }[]).some(({ behind }) => behind > 0);
    };
    for (let n = 0; !(await isBehind()); n++) {
      assert.ok(n < 100, 'the slow reader falls behind');
      await Promise.all(Array.from({ length: 20 }, () => emit(filler, 'publish', { topic, payload })));
    }
    const id = await publish(a, topic, { trace: true, confirm: 'delivered', timeout_ms: 1500 });

    for (const replica of [a, b]) {
      const acked = await ask(replica, id, 'acked');
      assert.equal(acked.outcome, 'acknowledged', JSON.stringify(acked));
      assert.equal(acked.replica_id, 'a');
      assert.ok(
        acked.published_at <= acked.delivered_at! + 1 && acked.delivered_at! <= acked.acknowledged_at!,
      );
      const paused = await ask(replica, id, 'slow');
      assert.equal(paused.outcome, 'paused', JSON.stringify(paused));
      assert.ok(paused.paused_from! <= paused.published_at + 1);
      assert.equal(paused.paused_until, null);
      const offline = await ask(replica, id, 'gone');
      assert.equal(offline.outcome, 'offline', JSON.stringify(offline));
      assert.ok(offline.offline_since! >= beforeLeaving && offline.offline_since! < offline.published_at);
      assert.equal((await ask(replica, id, 'idle')).outcome, 'not_subscribed');
      assert.equal((await ask(replica, id, 'barred')).outcome, 'forbidden');
      assert.equal((await ask(replica, id, 'stranger')).outcome, 'unknown');
    }

    // By the command, as an operator asks.
    const target = { RTC: b.url };
    const why = async (user: string, ...more: string[]) => rtc(['why', id, '--user', user, ...more], target);
    assert.match(
      (await why('acked')).stdout,
      /^acknowledged: passed to the connection at .*acknowledged at /,
    );
    assert.match((await why('slow')).stdout, /^paused: paused as a slow reader from \S+ until now/);
    assert.match((await why('gone')).stdout, /^offline: offline since \d{4}-/);
    assert.match((await why('idle')).stdout, /^not subscribed: /);
    assert.match((await why('barred')).stdout, /^forbidden: /);
    const unknown = await why('stranger', '--json');
    assert.equal(unknown.code, 1);
    assert.equal(validJson<Why>('rtc why', unknown)[0]?.outcome, 'unknown');

    slow.resume();
    await until(async () => !(await isBehind()), 'the slow reader has caught up', 20_000);
    const late = await ask(a, id, 'slow');
    assert.ok(['delivered', 'acknowledged'].includes(late.outcome), JSON.stringify(late));
    assert.ok(late.paused_from! < late.paused_until!);
    assert.match((await why('slow')).stdout, /paused as a slow reader from \S+ to \S+/);
    // The client comes back with its session, to the other replica.
    const sessionId = (gone as Socket & { status: { session_id: string } }).status.session_id;
    let received = 0;
    const back = await connect(a, 'gone', {
      auth: { token: tokenOf('gone'), session_id: sessionId },
      listen: (one) =>
        one.on('message', (message: { id: string }) => void (received += +(message.id === id))),
    });
    await until(() => received === 1, 'the missed message has arrived');
    const caughtUp = await ask(b, id, 'gone');
    assert.equal(caughtUp.outcome, 'delivered', JSON.stringify(caughtUp));
    assert.equal(caughtUp.replica_id, 'a');
    back.disconnect();
  });

  it('takes the connection that has got furthest, of a user on both replicas', async () => {
    const { a, b } = pair;
    await connect(a, 'two');
    await subscriber(b, 'two', 'both');
    const id = await publish(a, 'both', { trace: true });
    await until(async () => (await ask(a, id, 'two')).outcome === 'delivered', 'it is delivered');
    assert.equal((await ask(a, id, 'two')).replica_id, 'b');
    await subscriber(a, 'two', 'both');
    const again = await publish(b, 'both', { trace: true });
    await until(async () => (await ask(a, again, 'two')).findings.length === 2, 'both have it');
  });

  it('finds a message without a trace by its topic, and says so where it cannot', async () => {
    const { a } = pair;
    await subscriber(a, 'reader', 'untraced');
    const id = await publish(a, 'untraced');
    const traced = (await request(a, 'GET', `/messages/${id}/trace`)).status === 200;
    const without = await ask(a, id, 'reader');
    if (!traced) assert.match(without.reason!, /no trace of the message is kept.*give its topic/);
    await until(
      async () => (await ask(a, id, 'reader', '?topic=untraced')).outcome === 'delivered',
      'it is found in the log',
    );
    const elsewhere = await ask(a, '01890000-0000-7000-8000-000000000000', 'reader', '?topic=untraced');
    assert.equal(elsewhere.outcome, 'unknown');
    assert.match(elsewhere.reason!, /does not have the message/);
    assert.equal((await request(a, 'GET', '/messages/not-an-id/recipients/reader')).status, 400);
  });

  it('follows what a subscription has become: unsubscribed, then subscribed again', async () => {
    const { a } = pair;
    const socket = await subscriber(a, 'fickle', 'coming');
    const first = await publish(a, 'coming', { trace: true });
    await until(async () => (await ask(a, first, 'fickle')).outcome === 'delivered', 'it is delivered');
    await emit(socket, 'unsubscribe', { topics: ['coming'] });
    const second = await publish(a, 'coming', { trace: true });
    await emit(socket, 'subscribe', { topics: ['coming'] });
    assert.equal((await ask(a, first, 'fickle')).outcome, 'delivered');
    assert.equal((await ask(a, second, 'fickle')).outcome, 'not_subscribed');
    assert.equal((await ask(a, first, 'nobody')).outcome, 'unknown');
  });

  it('tells whom a direct message has reached', async () => {
    const { a, b } = pair;
    const ann = await connect(b, 'ann');
    const bob = await connect(a, 'bob', {
      listen: (one) => one.on('direct', (_: unknown, ack: () => void) => ack()),
    });
    const direct = async (to: string) => (await emit(bob, 'direct', { to, payload: 'hi', trace: true })).id!;
    const unread = await direct('ann');
    await until(async () => (await ask(a, unread, 'ann')).outcome === 'delivered', 'it is delivered');
    assert.equal((await ask(a, unread, 'bob')).outcome, 'not_addressed');
    ann.disconnect();
    await left(b, 'ann');
    assert.equal((await ask(a, unread, 'ann')).outcome, 'offline');
    const read = await direct('bob');
    await until(async () => (await ask(b, read, 'bob')).outcome === 'acknowledged', 'it is acknowledged');
    assert.ok((await ask(b, read, 'bob')).acknowledged_at! > 0);
    // Nobody of that name has ever been here, and yet it waits.
    assert.equal((await ask(b, await direct('nobody-yet'), 'nobody-yet')).outcome, 'offline');
  });

  it('says that a refused message is not stored', async () => {
    const { a } = pair;
    const rule = await request(a, 'POST', '/trace-rules', { user: 'barred-pub' });
    assert.equal(rule.status, 200);
    const socket = await connect(a, 'barred-pub', {
      auth: { token: tokenOf('barred-pub', { topics: ['other'] }) },
    });
    await emit(socket, 'publish', { topic, payload: 1 });
    const { body } = await request(a, 'GET', '/traces?user=barred-pub&failed=true');
    const id = (body['messages'] as { message_id: string }[])[0]!.message_id;
    const verdict = await ask(a, id, 'acked');
    assert.equal(verdict.outcome, 'not_stored');
    assert.match(verdict.reason!, /refused: forbidden/);
  });

  // The last one: it ends a replica.
  it('does not conclude from silence: without an answer of a replica it is unknown', async () => {
    const { a, b } = pair;
    const id = await publish(a, topic, { trace: true });
    await connect(a, 'here');
    const known = await publish(a, topic, { trace: true });
    assert.equal((await ask(a, known, 'here')).outcome, 'not_subscribed');
    b.signal('SIGSTOP');
    try {
      const verdict = await ask(a, known, 'here');
      assert.equal(verdict.outcome, 'unknown', JSON.stringify(verdict));
      assert.match(verdict.reason!, /a replica did not answer/);
    } finally {
      b.signal('SIGCONT');
    }
    await b.end('SIGKILL');
    await until(
      async () => {
        const { outcome, complete, findings, reason } = await ask(a, id, 'here');
        // While its lease lasts it does not answer, and what is published may be at clients that it still has.
        return outcome === 'unknown' && !complete && findings.length === 0 && /reach back/.test(reason!);
      },
      'what the replica knew is missing',
      30_000,
    );
    const later = await publish(a, topic, { trace: true });
    await until(async () => (await ask(a, later, 'here')).outcome === 'not_subscribed', 'the rest is known');
  });
});

describe('[WHY] one replica in memory', function () {
  this.timeout(60_000);

  it('knows by the answer to a heartbeat that a message has arrived, and who is away by what it remembers', async () => {
    const replica = await TestReplica.start({ RTC_WEBSOCKET_HEARTBEAT_INTERVAL_SECS: '1' });
    const ann = await connectClient(replica.url, 'ann');
    try {
      await emit(ann, 'subscribe', { topics: ['news'] });
      const { id } = await emit(ann, 'publish', { topic: 'news', payload: 1, trace: true });
      const ask = async (user: string) =>
        (await request(replica, 'GET', `/messages/${id}/recipients/${user}`)).body as Why & {
          acknowledged_by?: number;
        };
      await until(async () => (await ask('ann')).outcome === 'acknowledged', 'it is confirmed', 20_000);
      const known = await ask('ann');
      assert.ok(known.acknowledged_by! >= known.published_at && known.acknowledged_at === undefined);
      ann.disconnect();
      await until(async () => (await ask('ann')).findings.length > 0, 'it has left');
      assert.equal((await ask('ann')).outcome, 'acknowledged');
      const bob = await connectClient(replica.url, 'bob');
      const later = await emit(bob, 'publish', { topic: 'news', payload: 2, trace: true });
      bob.disconnect();
      const { body } = await request(replica, 'GET', `/messages/${later.id}/recipients/ann`);
      assert.equal(body['outcome'], 'offline');
    } finally {
      ann.disconnect();
      await replica.end('SIGKILL');
    }
  });
});
