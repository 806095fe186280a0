import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import type { Position } from '../../../shared/position.js';
import { DirectService } from '../../../server/direct/direct-service.js';
import { SendBufferBudget } from '../../../server/fanout/outbox.js';
import type { Subscriber } from '../../../server/fanout/subscriber.js';
import type { LogEntry, LogSlice } from '../../../server/log/broker.js';
import { encodeEntry } from '../../../server/log/entry.js';
import { silentLog } from '../../../server/logging/log.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeSubscriber } from '../../support/fake-subscriber.js';

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

describe('[P6] an inbox that is opened', () => {
  const clock = new FakeClock();
  const budget = new SendBufferBudget({ clock }, { limitMessages: 100, limitBytes: 1e6, totalBytes: 1e7 });
  const topic = '$user/ann';
  const entryOf = (sequence: number): LogEntry => ({
    sequence,
    entry: encodeEntry({
      id: `01890000-0000-7000-8000-00000000000${sequence}`,
      topic,
      payloadJson: `"e:${sequence} "`,
      attachments: [],
      sender: null,
      timestamp: 1_760_000_000_000,
    }),
  });
  const sliceOf = (epoch: string, ...sequences: number[]): LogSlice => ({
    end: { epoch, sequence: sequences.at(-1)!, previous: [], firstSequence: sequences[0]! },
    entries: sequences.map(entryOf),
    truncated: false,
  });

  /** Opens an inbox whose feed is at `feedAt` already, and returns what its client receives, and how often it was read. */
  const opened = async (first: LogSlice, feedAt: Position, later: LogSlice) => {
    let reads = 0;
    const ann = new FakeSubscriber({ clock, budget }, 'ann');
    const none = () => {};
    const direct = new DirectService({
      topics: {
        follow: () => Promise.resolve({ position: { ...feedAt, previous: [] }, first, close: none }),
      },
      broker: {
        read: () => {
          reads++;
          return Promise.resolve(later);
        },
        remove: () => Promise.resolve(0),
      },
      confirmations: { nextAckId: () => 1, sentTo: none, onLeft: none, acknowledged: none },
      tracer: { queued: none, delivered: none, lost: none, caughtUp: none },
      log: silentLog,
    } as unknown as ConstructorParameters<typeof DirectService>[0]);
    await direct.add(ann);
    await turn();
    await clock.advance(100);
    const state = direct.recipientOf(ann)?.state;
    direct.close();
    const received = ann.transport.received.filter((text) => text.includes('"direct"'));
    return { reads, state, received: received.map((text) => Number(/e:(\d)/.exec(text)![1])) };
  };

  it('is read once, by its feed, for the first connection', async () => {
    const outcome = await opened(sliceOf('e', 1, 2), { epoch: 'e', sequence: 2 }, sliceOf('e', 1, 2));
    assert.deepEqual(outcome, { reads: 0, state: 'live', received: [1, 2] });
  });

  it('is read again if a message has come since its feed has read it, or if its log is another one', async () => {
    const late = await opened(sliceOf('e', 1, 2), { epoch: 'e', sequence: 3 }, sliceOf('e', 1, 2, 3));
    assert.deepEqual(late, { reads: 1, state: 'live', received: [1, 2, 3] });
    const other = await opened(sliceOf('e', 1), { epoch: 'f', sequence: 2 }, sliceOf('f', 1, 2));
    assert.deepEqual(other, { reads: 1, state: 'live', received: [1, 2] });
  });
});
