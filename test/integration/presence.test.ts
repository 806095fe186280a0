import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import { connectClient, emit, JsonClient } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';
import { until } from '../support/wait.js';

/** A lease, a heartbeat and a slow machine. */
const leaseLimitMs = 30_000;

describe('presence across replicas', function () {
  this.timeout(90_000);
  let redis: TestRedis;
  let a: TestReplica;
  let b: TestReplica;
  const sockets: Socket[] = [];
  const started: TestReplica[] = [];

  const startReplica = async (id: string, more: NodeJS.ProcessEnv = {}) => {
    const replica = await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: id, ...more });
    started.push(replica);
    return replica;
  };
  const member = async (replica: TestReplica, user: string, presence = false) => {
    const socket = await connectClient(replica.url, user);
    sockets.push(socket);
    const events: string[] = [];
    socket.on('presence', (event: { event: string; user_id: string }) =>
      events.push(`${event.event} ${event.user_id}`),
    );
    await emit(socket, 'subscribe', { topics: ['room'], ...(presence && { presence }) });
    return { socket, events };
  };
  const present = async (socket: Socket) =>
    ((await emit(socket, 'presence', { topic: 'room' }))['users'] as { user_id: string }[])
      .map(({ user_id }) => user_id)
      .sort();
  /** A replica stores who comes a moment after the answer to `subscribe`. */
  const arePresent = (socket: Socket, users: readonly string[], what = 'these are present') =>
    until(async () => (await present(socket)).join() === users.join(), `${what}: ${users.join()}`);

  beforeEach(async () => {
    redis = await TestRedis.start();
    [a, b] = await Promise.all([startReplica('a'), startReplica('b')]);
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.disconnect();
    for (const replica of started.splice(0)) {
      replica.signal('SIGCONT');
      await replica.end('SIGKILL');
    }
    await redis.stop();
  });

  it('notifies watchers, on both wires, that the users of a killed replica have left, within the lease', async () => {
    const ann = await member(a, 'ann', true);
    const json = new JsonClient(a.webSocketUrl, 'joe');
    try {
      await until(() => json.of('Status').length > 0, 'the /ws client is connected');
      json.send({ type: 'Subscribe', data: { topics: ['room'], presence: true } });
      await until(() => json.of('Status').length > 1, 'the /ws client is subscribed');
      await member(b, 'bob');
      await until(() => ann.events.includes('join bob'), 'bob is present');
      await b.end('SIGKILL');
      await until(() => ann.events.includes('leave bob'), 'the watcher is notified', leaseLimitMs);
      await until(
        () => json.of('Presence').some(({ data }) => data['event'] === 'leave' && data['user_id'] === 'bob'),
        'the watcher on /ws is notified by a frame',
      );
      await arePresent(ann.socket, ['ann', 'joe']);
    } finally {
      json.close();
    }
  });

  it('ends with the process: a replica that starts again under its id takes over at once', async () => {
    const ann = await member(a, 'ann', true);
    await member(b, 'bob');
    await member(b, 'cat');
    await until(
      () => ['join bob', 'join cat'].every((event) => ann.events.includes(event)),
      'both are present',
    );
    await b.end('SIGKILL');
    const again = await startReplica('b');
    const cat = await member(again, 'cat');
    await until(() => ann.events.includes('leave bob'), 'the watcher is notified', leaseLimitMs);
    await arePresent(ann.socket, ['ann', 'cat']);
    cat.socket.disconnect();
    await until(() => ann.events.at(-1) === 'leave cat', 'the watcher is notified when the other leaves too');
  });

  it('returns with a replica that stood still for longer than its lease, also if another has its id meanwhile', async () => {
    const ann = await member(a, 'ann', true);
    await member(b, 'bob');
    await until(() => ann.events.includes('join bob'), 'bob is present');
    b.signal('SIGSTOP');
    await until(() => ann.events.includes('leave bob'), 'its users leave', leaseLimitMs);
    await arePresent(ann.socket, ['ann']);
    const again = await startReplica('b');
    const ben = await member(again, 'ben');
    b.signal('SIGCONT');
    await until(
      () => ann.events.includes('join bob', ann.events.indexOf('leave bob')),
      'its users join again',
    );
    await arePresent(ann.socket, ['ann', 'ben', 'bob']);
    ben.socket.disconnect();
    await until(() => ann.events.at(-1) === 'leave ben', 'the two are not mixed up');
    await arePresent(ann.socket, ['ann', 'bob']);
  });

  it('is restored within the lease after FLUSHALL, and after the loss of one key', async () => {
    const ann = await member(a, 'ann');
    const bob = await member(b, 'bob');
    for (const loss of ['FLUSHALL', 'DEL rtc:{room}:presence']) {
      await until(async () => (await present(ann.socket)).join() === 'ann,bob', 'both are present');
      await redis.command(loss);
      for (const { socket } of [ann, bob])
        await until(
          async () => (await present(socket)).join() === 'ann,bob',
          'both are present again',
          30_000,
        );
    }
  });

  it('refuses the start of a second replica with an id that is in use, and says what to do', async () => {
    const ann = await member(a, 'ann');
    await assert.rejects(
      startReplica('a'),
      /ended with 2: [^]*^server\.replica_id: a replica with the id "a" is running: give each replica an id of its own/m,
    );
    await arePresent(ann.socket, ['ann'], 'the first one goes on');
  });

  it('warns once of replicas with other settings, by the names of both', async () => {
    const odd = await startReplica('odd', { RTC_TOPICS_HISTORY_SIZE: '7', JWT_SECRET: 'another secret' });
    const warnings = (replica: TestReplica) =>
      replica.output.split('\n').filter((line) => line.includes('"message":"Replicas differ"'));
    await until(() => [a, b, odd].every((replica) => warnings(replica).length > 0), 'all warn', leaseLimitMs);
    const [warning, ...more] = warnings(a);
    assert.deepEqual(more, []);
    assert.match(warning!, /topics\.history_size: \d+ here, 7 on odd/);
    assert.match(warning!, /auth\.jwt_secret: #[0-9a-f]{4} here, #[0-9a-f]{4} on odd/);
    assert.doesNotMatch(warning!, /another secret/);
    assert.match(warnings(odd)[0]!, /topics\.history_size: 7 here, \d+ on a and b/);
  });
});
