import assert from 'node:assert/strict';
import { CatchUp, type CatchUpTopic } from '../../../server/fanout/catch-up.js';
import { CatchUpTurns } from '../../../server/fanout/catch-up-turns.js';
import type { LogBlocks } from '../../../server/fanout/log-blocks.js';
import type { Outbox } from '../../../server/fanout/outbox.js';
import type { Subscriber } from '../../../server/fanout/subscriber.js';
import { silentLog } from '../../../server/logging/log.js';
import { systemClock } from '../../../server/primitives/clock.js';

/** An outbox that has room when the test says so. */
class FakeOutbox {
  room = true;
  private readonly listeners = new Set<() => void>();

  get asOutbox(): Outbox {
    return this as unknown as Outbox;
  }

  hasRoom(): boolean {
    return this.room;
  }

  /** Not before a test lets it drain. */
  get drained(): boolean {
    return false;
  }

  get waiting(): number {
    return this.listeners.size;
  }

  onceDrained(listener: () => void): void {
    this.listeners.add(listener);
  }

  cancelDrained(listener: () => void): void {
    this.listeners.delete(listener);
  }

  drain(): void {
    this.room = true;
    const listeners = [...this.listeners];
    this.listeners.clear();
    for (const listener of listeners) listener();
  }
}

describe('[P7] the turns of readers that catch up', () => {
  let turns: CatchUpTurns;
  let running: (() => void)[];
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const step = () => new Promise<void>((resolve) => running.push(resolve));
  const endOne = async () => {
    running.shift()!();
    await settle();
  };

  beforeEach(() => {
    turns = new CatchUpTurns();
    running = [];
  });

  it('read four blocks of a connection at a time, however many topics it has, and in the end all', async () => {
    const outbox = new FakeOutbox().asOutbox;
    let done = 0;
    for (let n = 0; n < 1000; n++) void turns.run(outbox, () => step()).then(() => done++);
    for (let n = 0; n < 1000; n++) {
      assert.ok(running.length <= 4);
      await endOne();
    }
    assert.deepEqual([done, running.length], [1000, 0]);
  });

  it('wait while the outbox of the connection has no room', async () => {
    const outbox = new FakeOutbox();
    for (let n = 0; n < 10; n++) void turns.run(outbox.asOutbox, () => step());
    outbox.room = false;
    for (let n = 0; n < 4; n++) await endOne();
    assert.equal(running.length, 0);
    outbox.drain();
    assert.equal(running.length, 4);
  });

  it('read a bounded number of blocks for all connections together, and pass a failure on', async () => {
    let failed = 0;
    for (let n = 0; n < 100; n++) void turns.run(new FakeOutbox().asOutbox, step);
    assert.equal(running.length, 64);
    const fails = () => Promise.reject(new Error('no answer'));
    turns.run(new FakeOutbox().asOutbox, fails).catch(() => failed++);
    for (let n = 0; n < 100; n++) {
      assert.ok(running.length <= 64);
      await endOne();
    }
    assert.deepEqual([failed, running.length], [1, 0]);
  });

  it('keep nothing of readers that have ended, however many a connection begins while it reads nothing', async () => {
    const outbox = new FakeOutbox();
    outbox.room = false;
    void turns.run(outbox.asOutbox, step);
    let ran = 0;
    for (let n = 0; n < 1000; n++) {
      const ended = () => Promise.resolve(void ran++);
      void turns.run(outbox.asOutbox, ended);
      turns.cancel(outbox.asOutbox, ended);
    }
    outbox.drain();
    await settle();
    assert.deepEqual([running.length, ran], [1, 0]);
  });

  it('go on to other connections when the steps of those that come first were cancelled', async () => {
    for (let n = 0; n < 64; n++) void turns.run(new FakeOutbox().asOutbox, step);
    for (let n = 0; n < 200; n++) {
      const outbox = new FakeOutbox().asOutbox;
      const ended = () => Promise.resolve();
      void turns.run(outbox, ended);
      turns.cancel(outbox, ended);
    }
    let isDone = false;
    void turns.run(new FakeOutbox().asOutbox, () => Promise.resolve(void (isDone = true)));
    for (let n = 0; n < 64; n++) await endOne();
    assert.ok(isDone);
  });

  it('are left by a reader that is stopped, in whatever it waits for', async () => {
    const outbox = new FakeOutbox();
    outbox.room = false;
    const cancelled = new Set<unknown>();
    const blocks = {
      turns: {
        run: () => new Promise<void>(() => {}),
        cancel: (_outbox: Outbox, its: unknown) => cancelled.add(its),
      },
    } as unknown as LogBlocks;
    const topic = { name: 't', written: { epoch: 'e', sequence: 9 } } as unknown as CatchUpTopic;
    const subscriber = { id: 's', outbox: outbox.asOutbox } as unknown as Subscriber;
    for (let n = 0; n < 1000; n++) {
      const reader = new CatchUp({ blocks, log: silentLog, clock: systemClock }, topic, subscriber, {
        epoch: 'e',
        sequence: 0,
      });
      reader.resumeWhenDrained();
      reader.stop();
    }
    assert.deepEqual([outbox.waiting, cancelled.size], [0, 1000]);
  });
});
