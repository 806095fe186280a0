import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { RefusalError } from '../../../shared/errors.js';
import type { Broker } from '../../../server/log/broker.js';
import { isPositionIn } from '../../../server/log/lineage.js';
import { TestRedis } from '../../support/redis.js';
import { until } from '../../support/wait.js';
import { entry, listen, type BrokerFixture } from '../log/broker-contract.js';
import { redisBrokers } from '../log/broker.test.js';

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
  const isUnavailable = (error: unknown) => error instanceof RefusalError && error.code === 'unavailable';

  it('settles an append under way when a stalled Redis goes on, and refuses new ones meanwhile', async () => {
    await begin('none');
    await broker.append('t', [entry('a')]);
    await redis.signal('SIGSTOP');
    const underWay = broker.append('t', [entry('b')]);
    await until(() => broker.state === 'down', 'the stall is noticed');
    await assert.rejects(broker.append('t', [entry('c')]), isUnavailable);
    await redis.signal('SIGCONT');
    assert.equal((await underWay)[0]!.sequence, 2);
    await until(() => broker.state === 'up', 'Redis is up again');
    assert.equal((await broker.ends(['t']))[0]!.sequence, 2);
  });

  it('stores or refuses the batches of many topics, begun in one turn, each by itself', async () => {
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

  it('gives up a connection that is stalled for long, and an append refused then never appears', async () => {
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
    // Longer than the stall limit: the connection is given up while its command waits in the socket of the stopped server.
    await sleep(4000);
    await redis.signal('SIGCONT');
    const outcome = await underWay;
    await until(() => broker.state === 'up', 'Redis is up again');
    // Commands of the connection that was given up would have been run by now.
    await sleep(500);
    const { end, entries } = await broker.read('t', 0, 10);
    assert.equal(end.sequence, outcome.stored ? 2 : 1);
    assert.equal(entries.length, outcome.stored ? 2 : 1);
  });

  it('knows the outcome of appends that were under way when Redis was killed', async () => {
    await begin('aof');
    // One append per topic is in flight from one broker: the contract's rule, which topic actors keep.
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
          assert.ok(isUnavailable(error), String(error));
          own.push(undefined);
          await until(() => broker.state === 'up', 'Redis is up again');
        }
      }
    });
    await until(() => acknowledged > 2000, 'the stream is under way');
    await redis.signal('SIGKILL');
    await redis.run();
    await until(() => broker.state === 'up', 'Redis is up again');
    const before = acknowledged;
    await until(() => acknowledged > before + 1000, 'the stream goes on');
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

  it('goes on under a new epoch, at the next sequence, when another Redis process answers', async () => {
    await begin('aof');
    const [before] = await broker.append('t', [entry('a'), entry('b')]);
    await redis.signal('SIGKILL');
    await until(() => broker.state === 'down', 'the loss is noticed');
    await redis.run();
    await until(() => broker.state === 'up', 'Redis is up again');
    const [end] = await broker.ends(['t']);
    assert.notEqual(end!.epoch, before!.epoch);
    assert.deepEqual([end!.sequence, end!.previous], [2, [{ epoch: before!.epoch, sequence: 2 }]]);
    const [after] = await broker.append('t', [entry('c')]);
    assert.deepEqual([after!.epoch, after!.sequence], [end!.epoch, 3]);
  });

  it('tells by the epochs that a restored Redis has lost a tail', async () => {
    await begin('none');
    const [stored] = await broker.append('t', [entry('a'), entry('b')]);
    await redis.command('SAVE');
    const [lost] = await broker.append('t', [entry('c')]);
    assert.deepEqual([lost!.epoch, lost!.sequence], [stored!.epoch, 3]);
    await redis.signal('SIGKILL');
    await until(() => broker.state === 'down', 'the loss is noticed');
    await redis.run();
    await until(() => broker.state === 'up', 'Redis is up again');
    const [end] = await broker.ends(['t']);
    assert.deepEqual([end!.sequence, end!.previous], [2, [{ epoch: stored!.epoch, sequence: 2 }]]);
    assert.ok(isPositionIn(end!, { epoch: stored!.epoch, sequence: 2 }), 'who saw what is stored goes on');
    assert.ok(!isPositionIn(end!, lost!), 'who saw the lost tail is told');
    const [other] = await broker.append('t', [entry('d')]);
    assert.equal(other!.sequence, 3);
    assert.notEqual(other!.epoch, lost!.epoch, 'another message never has the position of a lost one');
  });

  it('lets a log that was deleted and made anew expire', async () => {
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

  it('says that live traffic may have been missed', async () => {
    await begin('aof');
    const heard = listen(broker);
    await broker.follow('t');
    await broker.append('t', [entry('a')]);
    await until(() => heard.batches.length === 1, 'a batch is heard');
    await redis.signal('SIGKILL');
    await until(() => broker.state === 'down', 'the loss is noticed');
    await redis.run();
    await until(() => broker.state === 'up' && heard.resyncs > 0, 'the resync is told');
    await broker.append('t', [entry('b')]);
    await until(() => heard.batches.length === 2, 'batches are heard again');
  });
});
