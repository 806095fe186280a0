import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import { DirectService } from '../../../server/direct/direct-service.js';
import type { Subscriber } from '../../../server/fanout/subscriber.js';
import { DeliveryBatch } from '../../../server/fanout/delivery-batch.js';
import type { LogEnd } from '../../../server/log/broker.js';
import type { Connection } from '../../../server/protocol/connection.js';
import type { Position } from '../../../shared/position.js';
import { encodeEntry } from '../../../server/log/entry.js';
import { seededRandom } from '../../../bench/seeded-random.js';
import { LogFeed, type Feed, type FeedSink, type GapSink } from '../../../server/log/feed.js';
import { inboxOf } from '../../../server/direct/inbox-name.js';
import { silentLog } from '../../../server/logging/log.js';
import { systemClock } from '../../../server/primitives/clock.js';
import { ScriptedLog } from '../../support/scripted-log.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('[P6] an inbox that cannot be read', () => {
  it('is read again as soon as the log is reachable, without the pause between two attempts', async () => {
    let attempts = 0;
    const direct = new DirectService({
      topics: {
        follow: () => {
          attempts++;
          return Promise.reject(new RefusalError('unavailable', 'the log is unavailable'));
        },
      },
      log: silentLog,
    } as unknown as ConstructorParameters<typeof DirectService>[0]);
    const connections = ['a', 'b'].map(
      (id) => ({ id, identity: { userId: id }, outbox: { isOverfull: false } }) as unknown as Subscriber,
    );
    try {
      await Promise.all(connections.map((connection) => direct.add(connection)));
      await turn();
      assert.equal(attempts, 2);
      direct.goOn();
      await turn();
      assert.equal(attempts, 4);
    } finally {
      direct.close();
    }
    await turn();
    assert.equal(attempts, 4, 'a service that is closed makes no attempt');
  });
});

/** Users whose connections come and go while their inbox is opened and read, on a log that answers late. */
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

describe(`[P6] an inbox whose user comes, goes and comes back (seed ${seed})`, () => {
  it('is followed once, and gives each connection everything in order, without a pause', async () => {
    for (let round = 0; round < 200; round++) await schedule(seed + round);
  });

  async function schedule(number: number): Promise<void> {
    const random = seededRandom(number);
    const log = new ScriptedLog(inboxOf('ann'), (_epoch, sequence) => entryOf(sequence));
    log.holdsCalls = true;
    const failures: string[] = [];
    const feeds = new Set<LogFeed>();
    const follow = async (topic: string, sink: FeedSink, onGap: GapSink) => {
      assert.equal(feeds.size, 0, `seed ${number}: the log is followed already`);
      const dependencies = { broker: log.broker, log: silentLog, clock: systemClock };
      const feed = new LogFeed(dependencies, topic, { deliver: sink, gap: onGap }, { sparse: true });
      feeds.add(feed);
      const openedAt = await feed.open();
      const close = () => {
        feed.close();
        feeds.delete(feed);
      };
      return Object.defineProperty({ close, openedAt }, 'position', {
        get: () => feed.position,
      }) as unknown as Feed;
    };
    const direct = new DirectService({
      topics: { follow },
      broker: log.broker,
      confirmations: { nextAckId: () => 1, sentTo() {}, acknowledged() {}, onLeft() {} },
      tracer: { queued() {}, delivered() {}, lost() {}, caughtUp() {} },
      log: { ...silentLog, debug: (text: string) => void failures.push(text) },
    } as unknown as ConstructorParameters<typeof DirectService>[0]);
    const there = new Map<Subscriber, number[]>();
    const expected: (() => void)[] = [];
    let [published, connections] = [0, 0];
    const passOn = () => {
      if (published === log.published.length) return;
      const batch = log.published[published++]!;
      for (const feed of feeds) feed.onBatch(batch);
    };
    const answer = () => {
      const [call] = log.calls.splice(random(Math.max(1, log.calls.length)), 1);
      if (random(2) === 0) call?.early();
      else call?.late();
    };
    const steps = [
      () => {
        const got: number[] = [];
        const connection = reader(`c${connections++}`, got);
        there.set(connection, got);
        void direct.add(connection);
      },
      () => {
        const [connection] = there.keys();
        if (connection === undefined) return;
        there.delete(connection);
        direct.remove(connection);
      },
      () => expected.push(direct.expect('ann')),
      () => expected.shift()?.(),
      () => void log.append(1),
      passOn,
      answer,
      answer,
    ];
    for (let step = 0; step < 40; step++) {
      steps[random(steps.length)]!();
      if (random(3) > 0) await turn();
    }
    for (const over of expected) over();
    for (let quiet = 0; quiet < 3; await turn()) {
      quiet = log.calls.length === 0 && published >= log.published.length ? quiet + 1 : 0;
      passOn();
      answer();
    }
    assert.deepEqual(failures, [], `seed ${number}`);
    const all = Array.from({ length: log.end.sequence }, (_, n) => n + 1);
    for (const got of there.values()) assert.deepEqual(got, all, `seed ${number}`);
    for (const connection of there.keys()) direct.remove(connection);
    await turn();
    assert.equal(feeds.size, 0, `seed ${number}: nobody is left, and the log is still followed`);
    direct.close();
  }

  function entryOf(sequence: number): Buffer {
    const payloadJson = String(sequence);
    const texts = { id: `m${sequence}`, topic: undefined, payloadJson, sender: 'bob' };
    return encodeEntry({ ...texts, attachments: [], timestamp: 1_700_000_000_000 });
  }

  function reader(id: string, got: number[]): Subscriber {
    const write = (batch: DeliveryBatch) => got.push(batch.firstSequence);
    const outbox = { isOverfull: false, write };
    return { id, identity: { userId: 'ann' }, outbox, expectAck() {} } as unknown as Subscriber;
  }
});

describe('[P6] an inbox that was opened while its user was connecting', () => {
  const empty = { epoch: 'e', sequence: 4, previous: [], firstSequence: 5 };
  const full = { ...empty, firstSequence: 4 };

  /** How often the inbox is read for a client that has just connected, and what that client is notified of. */
  async function connect(openedAt: LogEnd, { known, arrived = 0 }: { known?: Position; arrived?: number }) {
    const events: string[] = [];
    let [reads, follows, closes] = [0, 0, 0];
    const direct = new DirectService({
      topics: {
        follow: () => {
          follows++;
          const position = { epoch: openedAt.epoch, sequence: openedAt.sequence + arrived };
          return Promise.resolve({ openedAt, position, close: () => closes++ });
        },
      },
      broker: {
        read: () => {
          reads++;
          const end = { ...openedAt, sequence: openedAt.sequence + arrived };
          return Promise.resolve({ end, entries: [], truncated: false });
        },
      },
      confirmations: { onLeft() {} },
      log: silentLog,
    } as unknown as ConstructorParameters<typeof DirectService>[0]);
    const identity = { userId: 'ann' };
    const emit = (event: string) => void events.push(event);
    const connection = { id: 'a', identity, emit, outbox: { isOverfull: false } } as unknown as Subscriber;
    const over = direct.expect('ann');
    await turn();
    assert.equal(follows, 1, 'before the client is connected');
    const added = direct.add(connection, known);
    over();
    await added;
    await turn();
    const state = direct.recipientOf(connection as unknown as Connection)?.state;
    assert.deepEqual([follows, state, closes], [1, 'live', 0]);
    direct.remove(connection as unknown as Connection);
    assert.equal(closes, 1);
    return { reads, events };
  }

  it('is not read again if it was empty, and is read if it was not, or if something has come since', async () => {
    assert.deepEqual(await connect(empty, {}), { reads: 0, events: [] });
    assert.deepEqual(await connect(empty, { known: { epoch: 'e', sequence: 4 } }), { reads: 0, events: [] });
    assert.equal((await connect(full, {})).reads, 1);
    assert.equal((await connect(empty, { arrived: 1 })).reads, 1);
  });

  it('is read again if the client was further when it was last connected: only then something is lost', async () => {
    const known = { epoch: 'e', sequence: 5 };
    assert.deepEqual(await connect(empty, { known, arrived: 1 }), { reads: 1, events: [] });
    assert.deepEqual(await connect(empty, { known }), { reads: 1, events: ['gap'] });
  });

  it('is closed if its user does not come', async () => {
    let closes = 0;
    const direct = new DirectService({
      topics: { follow: () => Promise.resolve({ openedAt: empty, position: empty, close: () => closes++ }) },
      log: silentLog,
    } as unknown as ConstructorParameters<typeof DirectService>[0]);
    const [first, second] = [direct.expect('ann'), direct.expect('ann')];
    await turn();
    first();
    assert.equal(closes, 0);
    second();
    assert.equal(closes, 1);
    direct.expect('bob')();
    assert.equal(closes, 1, 'not open yet');
    await turn();
    assert.equal(closes, 2);
  });
});
