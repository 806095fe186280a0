import assert from 'node:assert/strict';
import { createClient } from 'redis';
import { TestRedis } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';
import { StrayPoller } from '../support/stray-poller.js';
import { until } from '../support/wait.js';

/** What no replica sends: of a wrong type, incomplete, or for another protocol. */
const badFrames = (sid: string): unknown[] => {
  const poll = {
    t: 'request',
    id: 1,
    sid,
    method: 'GET',
    url: '/socket.io/',
    headers: [],
    address: '::1',
    last: true,
  };
  return [
    ...[null, 5, 'text', [], {}, { t: 'request' }, { t: 'nothing' }, { t: 'response', id: 1 }],
    ...['GET /', '/a b', '/\r\nX: y', '/\u20ac', '', 7, null].map((url) => ({ ...poll, url })),
    ...['CONNECT', 'UPGRADE', 'A B', '', 7].map((method) => ({ ...poll, method })),
    ...[null, 'X', [7], ['X'], ['X', 7], ['a b', 'c'], ['X', 'a\r\nb'], [null, null]].map((headers) => ({
      ...poll,
      headers,
    })),
    ...[5, {}, [], 'ä'].map((data) => ({ ...poll, data })),
    ...[null, 5, {}, '__proto__'].map((wrong) => ({ ...poll, sid: wrong })),
    ...[null, 'x', {}].map((id) => ({ ...poll, id })),
    { ...poll, address: { toString: 5 } },
    { t: 'body', id: 1, data: 5, last: false },
    { t: 'abort', id: 1, sid: '__proto__' },
    { t: 'release', id: null },
  ];
};

describe('[POLL] what somebody else sends on the channels of the replicas', function () {
  this.timeout(60_000);
  let redis: TestRedis;
  let owner: TestReplica;
  let edge: TestReplica;
  let channel: string;
  let forger: ReturnType<typeof createClient>;
  let replies: ReturnType<typeof createClient>;
  const received: { readonly f?: readonly { readonly t: string; readonly id: number }[] }[] = [];
  const me = 'forger~0badf00d';

  before(async () => {
    redis = await TestRedis.start();
    owner = await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: 'owner' });
    edge = await TestReplica.start({ REDIS_URL: redis.url, REPLICA_ID: 'edge' });
    forger = createClient({ url: redis.url });
    replies = forger.duplicate();
    await Promise.all([forger.connect(), replies.connect()]);
    const channels = await forger.sendCommand<string[]>(['PUBSUB', 'CHANNELS', 'rtc:bus:owner*']);
    assert.equal(channels.length, 1);
    channel = channels[0]!;
    await replies.subscribe(`rtc:bus:${me}`, (text) => received.push(JSON.parse(text).data));
  });
  after(async () => {
    forger.destroy();
    replies.destroy();
    for (const replica of [owner, edge]) await replica.end('SIGKILL');
    await redis.stop();
  });

  const send = (data: unknown, from: unknown = me) =>
    forger
      .publish(channel, JSON.stringify({ v: 1, kind: 'polling', from, data }))
      .then((n) => assert.equal(n, 1));
  const works = async (poller: StrayPoller) => {
    await poller.post(edge, '420["ping",{"timestamp":1}]');
    assert.match((await poller.poll(edge)).text, /^430\[\{"ok":true/);
  };

  it('leaves long-polling by way of other replicas as it is, and the replica alive', async () => {
    const poller = await StrayPoller.join(owner, edge, 'ann');
    const victim = await StrayPoller.open(owner);
    for (const text of ['', '{', 'null', '5', '[]', '{"kind":"polling"}', '{"kind":5,"from":{}}'])
      await forger.publish(channel, text);
    for (const data of [
      null,
      5,
      'x',
      [],
      {},
      { s: 5, n: 'x', f: 5 },
      { s: 'a', n: 1, f: {} },
      { s: 'a', n: -1, a: 5 },
    ])
      await send(data, `other~${String(Math.random()).slice(2, 10)}`);
    for (const [n, frame] of badFrames(victim.sid).entries())
      await send({ s: `stream-${n}`, n: 1, f: [frame] }, `one-${n}~0badf00d`);
    await works(poller);
    assert.doesNotMatch(owner.output, /Uncaught exception|Unhandled rejection/);
  });

  it('costs no frame that comes with it', async () => {
    const transports: StrayPoller[] = [];
    const frames: unknown[] = [];
    const first = await StrayPoller.open(owner);
    for (const [n, bad] of badFrames(first.sid).entries()) {
      const poller = await StrayPoller.open(owner);
      transports.push(poller);
      const { pathname, search } = new URL(poller.addressAt(owner));
      const id = 1000 + n;
      frames.push(bad, {
        t: 'request',
        id,
        sid: poller.sid,
        method: 'POST',
        url: pathname + search,
        headers: [],
        address: '::1',
        data: Buffer.from('3').toString('base64'),
        last: true,
      });
    }
    await send({ s: 'batch', n: 1, f: frames });
    const answered = () =>
      new Set(
        received.flatMap(({ f = [] }) =>
          f.filter(({ t, id }) => t === 'response' && id >= 1000).map(({ id }) => id),
        ),
      );
    await until(() => answered().size === transports.length, `all answers`).catch(() =>
      assert.fail(
        `${answered().size} of ${transports.length} were answered: ${owner.output.slice(-3000)} ${JSON.stringify(received).slice(0, 500)}`,
      ),
    );
  });
});
