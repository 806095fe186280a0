import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import { DirectService } from '../../../server/direct/direct-service.js';
import type { Subscriber } from '../../../server/fanout/subscriber.js';
import { DeliveryBatch } from '../../../server/fanout/delivery-batch.js';
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
      await feed.open();
      const close = () => {
        feed.close();
        feeds.delete(feed);
      };
      return Object.defineProperty({ close }, 'position', { get: () => feed.position }) as unknown as Feed;
    };
    const direct = new DirectService({
      topics: { follow },
      broker: log.broker,
      confirmations: { nextAckId: () => 1, sentTo() {}, acknowledged() {}, onLeft() {} },
      tracer: { queued() {}, delivered() {}, lost() {}, caughtUp() {} },
      log: { ...silentLog, debug: (text: string) => void failures.push(text) },
    } as unknown as ConstructorParameters<typeof DirectService>[0]);
    const there = new Map<Subscriber, number[]>();
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
      () => void log.append(1),
      passOn,
      answer,
      answer,
    ];
    for (let step = 0; step < 40; step++) {
      steps[random(steps.length)]!();
      if (random(3) > 0) await turn();
    }
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
