import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { RefusalError } from '../../../shared/errors.js';
import type { Broker } from '../../../server/log/broker.js';
import { isPositionIn } from '../../../server/log/lineage.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';
import { entry, listen, type BrokerFixture } from '../log/broker-contract.js';
import { redisBrokers } from '../../support/redis-brokers.js';

describe('[P3] [P5] RedisBroker when Redis fails', function () {
  this.timeout(60_000);
  let redis: TestRedis;
  let fixture: BrokerFixture;
  let broker: Broker;
  const begin = async (persistence: 'none' | 'aof') => {
    redis = await TestRedis.start(persistence);
    fixture = await redisBrokers(redis);
    broker = (await fixture.open())!;
  };
  afterEach(async () => {
    await fixture.close();
    await redis.stop();
  });
  const isUnknown = (error: unknown) => error instanceof RefusalError && error.code === 'outcome_unknown';
  const isUnavailable = (error: unknown) => error instanceof RefusalError && error.code === 'unavailable';

  it('settles an append in progress when a stalled Redis continues, and refuses new ones meanwhile', async () => {
    await begin('none');
    await broker.append('t', [entry('a')]);
    await redis.signal('SIGSTOP');
    const underWay = broker.append('t', [entry('b')]);
    await until(() => broker.state === 'down', 'the broker reports the stall');
    await assert.rejects(broker.append('t', [entry('c')]), isUnavailable);
    await redis.signal('SIGCONT');
    assert.equal((await underWay)[0]!.sequence, 2);
    await until(() => broker.state === 'up', 'Redis is reachable again');
    assert.equal((await broker.ends(['t']))[0]!.sequence, 2);
  });

  it('stores or refuses the batches of many topics, begun in one turn, independently of each other', async () => {
    await begin('none');
    const topics = ['broken', ...Array.from({ length: 120 }, (_, n) => `t${n}`), 'broken2'];
    for (const topic of ['broken', 'broken2']) {
      await broker.append(topic, [entry('first')]);
      await redis.command(`SET rtc:{${topic}}:log x`);
    }
    const outcomes = await Promise.allSettled(
      topics.map((topic, n) =>
        broker.append(topic, [entry(`a${n}`), entry(`b${n}`, `key${n}`), entry(`c${n}`)]),
      ),
    );
    topics.forEach((topic, n) => {
      const outcome = outcomes[n]!;
      if (topic.startsWith('broken')) {
        assert.ok(outcome.status === 'rejected' && isUnavailable(outcome.reason), topic);
        return;
      }
      assert.ok(outcome.status === 'fulfilled', topic);
      assert.deepEqual(
        outcome.value.map(({ sequence }) => sequence),
        [1, 2, 3],
      );
    });
    for (const n of [1, 60, 120]) {
      const { entries } = await broker.read(topics[n]!, 0, 10);
      const texts = entries.map(
        (item) => (JSON.parse(`{${item.entry.toString()}}`) as { text: string }).text,
      );
      assert.deepEqual(texts, [`a${n}`, `b${n}`, `c${n}`]);
      const [again] = await broker.append(topics[n]!, [entry('other', `key${n}`)]);
      assert.deepEqual([again!.sequence, again!.duplicate], [2, true]);
    }
  });

  it('closes a connection that is stalled for long, and never stores an append that was refused then', async () => {
    await begin('none');
    await broker.append('t', [entry('a')]);
    await redis.signal('SIGSTOP');
    const underWay = broker.append('t', [entry('b')]).then(
      ([receipt]) => ({ stored: true, sequence: receipt!.sequence }),
      (error: unknown) => {
        assert.ok(isUnavailable(error), String(error));
        return { stored: false, sequence: 0 };
      },
    );
    // Longer than the stall limit: the connection is closed while its command waits in the socket of the
    // stopped server.
    await sleep(4000);
    await redis.signal('SIGCONT');
    const outcome = await underWay;
    await until(() => broker.state === 'up', 'Redis is reachable again');
    // By now Redis would have run commands of the closed connection.
    await sleep(500);
    const { end, entries } = await broker.read('t', 0, 10);
    assert.equal(end.sequence, outcome.stored ? 2 : 1);
    assert.equal(entries.length, outcome.stored ? 2 : 1);
  });

  it('resolves the outcome of appends that were in progress when Redis was killed', async () => {
    await begin('aof');
    // Each broker has at most one append per topic in progress: a rule of the contract, kept by topic actors.
    const topics = Array.from({ length: 50 }, (_, n) => `t${n}`);
    const outcomes = new Map<string, (number | undefined)[]>();
    let acknowledged = 0;
    let stop = false;
    const publishing = topics.map(async (topic) => {
      const own: (number | undefined)[] = [];
      outcomes.set(topic, own);
      while (!stop) {
        try {
          const [receipt] = await broker.append(topic, [entry(`${topic}-${own.length}`)]);
          own.push(receipt!.sequence);
          acknowledged++;
        } catch (error) {
          assert.ok(isUnavailable(error) || isUnknown(error), String(error));
          own.push(undefined);
          await until(() => broker.state === 'up', 'Redis is reachable again');
        }
      }
    });
    await until(() => acknowledged > 2000, 'the stream is running');
    await redis.signal('SIGKILL');
    await redis.run();
    await until(() => broker.state === 'up', 'Redis is reachable again');
    const before = acknowledged;
    await until(() => acknowledged > before + 1000, 'the stream continues');
    stop = true;
    await Promise.all(publishing);
    let refused = 0;
    for (const [topic, own] of outcomes) {
      const { entries } = await broker.read(topic, 0, 10_000);
      const stored = new Map(
        entries.map((item) => [
          (JSON.parse(`{${item.entry.toString()}}`) as { text: string }).text,
          item.sequence,
        ]),
      );
      own.forEach((sequence, n) =>
        assert.equal(stored.get(`${topic}-${n}`), sequence, 'stored exactly if acknowledged'),
      );
      refused += own.filter((sequence) => sequence === undefined).length;
    }
    assert.ok(refused > 0, 'some were refused');
  });

  it('continues under a new epoch, at the next sequence, when another Redis process answers', async () => {
    await begin('aof');
    const [before] = await broker.append('t', [entry('a'), entry('b')]);
    await redis.signal('SIGKILL');
    await until(() => broker.state === 'down', 'the broker reports the loss');
    await redis.run();
    await until(() => broker.state === 'up', 'Redis is reachable again');
    const [end] = await broker.ends(['t']);
    assert.notEqual(end!.epoch, before!.epoch);
    assert.deepEqual([end!.sequence, end!.previous], [2, [{ epoch: before!.epoch, sequence: 2 }]]);
    const [after] = await broker.append('t', [entry('c')]);
    assert.deepEqual([after!.epoch, after!.sequence], [end!.epoch, 3]);
  });

  it('shows by its epochs that a restored Redis has lost its last messages', async () => {
    await begin('none');
    const [stored] = await broker.append('t', [entry('a'), entry('b')]);
    await redis.command('SAVE');
    const [lost] = await broker.append('t', [entry('c')]);
    assert.deepEqual([lost!.epoch, lost!.sequence], [stored!.epoch, 3]);
    await redis.signal('SIGKILL');
    await until(() => broker.state === 'down', 'the broker reports the loss');
    await redis.run();
    await until(() => broker.state === 'up', 'Redis is reachable again');
    const [end] = await broker.ends(['t']);
    assert.deepEqual([end!.sequence, end!.previous], [2, [{ epoch: stored!.epoch, sequence: 2 }]]);
    assert.ok(
      isPositionIn(end!, { epoch: stored!.epoch, sequence: 2 }),
      'a position before the loss is in the log',
    );
    assert.ok(!isPositionIn(end!, lost!), 'a position in the lost tail is not');
    const [other] = await broker.append('t', [entry('d')]);
    assert.equal(other!.sequence, 3);
    assert.notEqual(other!.epoch, lost!.epoch, 'another message never has the position of a lost one');
  });

  it('sets an expiry on a log that was deleted and created again', async () => {
    await begin('none');
    await broker.append('t', [entry('a')]);
    await redis.command('DEL rtc:{t}:log');
    await broker.ends(['t']);
    await broker.append('t', [entry('b')]);
    assert.match((await redis.command('PTTL rtc:{t}:log'))!, /^:[1-9]/);
  });

  it('keeps all keys of a topic in one hash slot', async () => {
    await begin('none');
    await broker.append('t', [entry('a', 'k')]);
    assert.equal(await redis.command('DBSIZE'), ':3');
    assert.equal(await redis.command('EXISTS rtc:{t}:log rtc:{t}:meta rtc:{t}:k:k'), ':3');
  });

  it('announces that live messages may have been missed', async () => {
    await begin('aof');
    const received = listen(broker);
    await broker.follow('t');
    await broker.append('t', [entry('a')]);
    await until(() => received.batches.length === 1, 'a batch arrives');
    await redis.signal('SIGKILL');
    await until(() => broker.state === 'down', 'the broker reports the loss');
    await redis.run();
    await until(() => broker.state === 'up' && received.resyncs > 0, 'the resync is announced');
    await broker.append('t', [entry('b')]);
    await until(() => received.batches.length === 2, 'batches arrive again');
  });
});
