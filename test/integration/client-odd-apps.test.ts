import assert from 'node:assert/strict';
import { createClient, ClientError, type Client, type ClientOptions } from '../../client/index.js';
import { request } from '../support/admin.js';
import { Closing } from '../support/closing.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

describe('[CLIENT] the client library, used in odd ways', () => {
  const closing = new Closing();
  let replica: TestReplica;

  before(async () => {
    replica = await TestReplica.start();
  });
  after(() => replica.end('SIGKILL'));
  afterEach(() => closing.close());

  function clientOf(options: Partial<ClientOptions> = {}): Client {
    const client = createClient({
      url: replica.url,
      token: tokenOf('ann'),
      reconnect: { baseDelayMs: 20, maxDelayMs: 200 },
      ...options,
    });
    closing.add(() => Promise.resolve(client.close()));
    return client;
  }

  it('follows a topic that is called like a member of every object from its end', async () => {
    const client = clientOf().connect();
    for (const topic of ['constructor', 'toString']) await client.topic(topic).publish('before');
    const given: unknown[] = [];
    for (const topic of ['constructor', 'toString']) {
      const subscription = client.topic(topic).subscribe();
      subscription.on('gap', (gap) => given.push(gap));
      subscription.on('message', ({ payload }) => given.push(payload));
      await client.topic(topic).publish(topic);
    }
    await until(() => given.includes('toString'), 'the messages');
    assert.deepEqual(given, ['constructor', 'toString']);
  });

  it('hands over nothing twice when a listener closes its subscription in the midst of a batch', async () => {
    const client = clientOf().connect();
    const topic = client.topic('left');
    const first = topic.subscribe();
    first.on('message', () => {});
    await new Promise((resolve) => first.on('subscribed', resolve));
    first.close();
    for (let n = 1; n <= 5; n++) await topic.publish(n);
    const given: unknown[] = [];
    const second = topic.subscribe();
    const closed = new Promise((resolve) => second.on('ended', resolve));
    second.on('message', ({ payload }) => {
      given.push(payload);
      if (payload === 3) second.close();
    });
    await closed;
    // The message at which it was closed has not been handled.
    topic.subscribe().on('message', ({ payload }) => given.push(payload));
    await until(() => given.includes(5), 'the rest');
    assert.deepEqual(given, [1, 2, 3, 3, 4, 5]);
  });

  it('tells once that a snapshot is older than the history, and goes on after what is lost', async () => {
    const client = clientOf().connect();
    const topic = client.topic('ledger');
    await topic.publish(1);
    let snapshots = 0;
    const { subscription } = await client.getState('ledger', () =>
      Promise.resolve({ state: ++snapshots, position: { epoch: 'of an older log', sequence: 7 } }),
    );
    const given: unknown[] = [];
    subscription.on('gap', () => given.push('gap'));
    subscription.on('state', (state) => given.push(`state ${String(state)}`));
    subscription.on('message', ({ payload }) => given.push(payload));
    await until(() => given.includes(1), 'what the history has');
    await topic.publish(2);
    await until(() => given.includes(2), 'a message');
    assert.deepEqual(given, ['gap', 'state 2', 1, 2]);
  });

  it('asks again for a token that does not come', async () => {
    const errors: string[] = [];
    let asked = 0;
    const client = clientOf({
      connectTimeoutMs: 1000,
      token: () => (++asked === 1 ? new Promise<string>(() => {}) : tokenOf('ann')),
    });
    client.on('error', ({ code }) => errors.push(code));
    client.connect();
    await until(() => client.isConnected, 'connected');
    assert.deepEqual([asked, errors], [2, ['token_failed']]);
  });

  it('connects with a new token after the tokens of its user were revoked, also in the same second', async () => {
    const states: string[] = [];
    const client = clientOf({ token: () => tokenOf('eve') });
    client.on('state', ({ state }) => states.push(state));
    client.connect();
    await until(() => client.isConnected, 'connected');
    await request(replica, 'POST', '/users/eve/revoke-tokens', { reason: 'other rights' });
    await until(
      () => states.filter((state) => state === 'connected').length === 2,
      'connected again',
      20_000,
    );
    assert.ok(!states.includes('stopped'));
  });

  it('refuses what cannot be sent, and stays connected', async () => {
    const client = clientOf().connect();
    const lost: string[] = [];
    client.on('disconnect', (reason) => lost.push(reason));
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    for (const payload of [circle, { count: 1n }, 1n, { file: new Blob(['x']) }]) {
      await assert.rejects(
        client.topic('odd').publish(payload),
        (error) => error instanceof ClientError && error.code === 'invalid_payload',
      );
      await assert.rejects(client.request('presence', { topic: payload }), { code: 'invalid_payload' });
      assert.throws(() => client.checkSize(payload), { code: 'invalid_payload' });
    }
    await client.topic('odd').publish('even');
    assert.deepEqual([lost, client.pending.messages], [[], 0]);
  });

  it('ends each subscription to what can be no name of a topic, however long it is', async () => {
    const names = [
      '',
      'a b',
      '$mine',
      '__proto__',
      '\ud800',
      'x'.repeat(201),
      'x'.repeat(202),
      'y'.repeat(50_000),
    ];
    const client = clientOf();
    const ended = new Map<string, string>();
    const follow = (name: string) =>
      client
        .topic(name)
        .subscribe()
        .on('ended', ({ code }) => ended.set(name, code));
    for (const name of names) follow(name);
    client.connect();
    await until(() => ended.size === names.length, 'the ends', 10_000);
    assert.deepEqual(new Set(ended.values()), new Set(['invalid_topic']));
  });

  it('connects as the user of now after it was disconnected while the token of another one was on its way', async () => {
    let user = 'ann';
    const answers: (() => void)[] = [];
    const client = clientOf({
      token: () => {
        const token = tokenOf(user);
        return new Promise((resolve) => answers.push(() => resolve(token)));
      },
    });
    let connectedAs: unknown;
    client.on('status', ({ status, details }) => {
      if (status === 'connected') connectedAs = details['user_id'];
    });
    client.connect();
    await until(() => answers.length === 1, 'the first request');
    client.disconnect();
    user = 'bob';
    client.connect();
    await until(() => answers.length === 2, 'the second request');
    for (const answer of answers) answer();
    await until(() => client.isConnected, 'connected');
    assert.equal(connectedAs, 'bob');
  });

  for (const event of ['state', 'status', 'subscribed'] as const)
    it(`goes on with its topics when a listener of ${event} has disconnected it while it was connecting`, async () => {
      const publisher = clientOf({ token: tokenOf('publisher') }).connect();
      const client = clientOf();
      const names = ['one', 'two'].map((name) => `${event}-${name}`);
      const given: unknown[] = [];
      const subscriptions = names.map((name) => client.topic(name).subscribe());
      for (const subscription of subscriptions)
        subscription.on('message', ({ topic, payload }) => given.push(`${topic} ${String(payload)}`));
      const leave = (): void => {
        remove();
        client.disconnect();
      };
      const remove =
        event === 'state'
          ? client.on('state', ({ state }) => state === 'connected' && leave())
          : event === 'status'
            ? client.on('status', ({ status }) => status === 'connected' && leave())
            : subscriptions[0]!.on('subscribed', leave);
      client.connect();
      await until(() => client.state.state === 'idle', 'disconnected');
      const joined = subscriptions.map(
        (subscription) => new Promise((resolve) => subscription.on('subscribed', resolve)),
      );
      client.connect();
      await Promise.all(joined);
      for (const name of names) await publisher.topic(name).publish(1);
      await until(() => given.length === 2, 'the messages of both topics');
      assert.deepEqual(given.sort(), names.map((name) => `${name} 1`).sort());
    });
});
