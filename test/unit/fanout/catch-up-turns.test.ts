import assert from 'node:assert/strict';
import { CatchUpTurns } from '../../../server/fanout/catch-up-turns.js';
import type { Outbox } from '../../../server/fanout/outbox.js';

/** An outbox that has room when the test says so. */
class FakeOutbox {
  room = true;
  private listeners: (() => void)[] = [];

  get asOutbox(): Outbox {
    return this as unknown as Outbox;
  }

  hasRoom(): boolean {
    return this.room;
  }

  onceDrained(listener: () => void): void {
    this.listeners.push(listener);
  }

  drain(): void {
    this.room = true;
    for (const listener of this.listeners.splice(0)) listener();
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
    for (let n = 0; n < 1000; n++) void turns.run(outbox, step).then(() => done++);
    for (let n = 0; n < 1000; n++) {
      assert.ok(running.length <= 4);
      await endOne();
    }
    assert.deepEqual([done, running.length], [1000, 0]);
  });

  it('wait while the outbox of the connection has no room', async () => {
    const outbox = new FakeOutbox();
    for (let n = 0; n < 10; n++) void turns.run(outbox.asOutbox, step);
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
});
