import assert from 'node:assert/strict';
import { CommandOrder } from '../../../server/commands/command-order.js';
import type { OrderMode, Turn } from '../../../server/commands/command-turn.js';
import type { Connection } from '../../../server/protocol/connection.js';
import { FakeClock } from '../../support/fake-clock.js';
import { oldBytes } from '../../support/old-generation.js';

/** The microtasks that have been planned, and those that they plan. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('[LIMITS] commands of a connection that wait for each other', () => {
  let read: boolean[];
  let enter: (topic: string, mode?: OrderMode) => Turn;

  beforeEach(() => {
    const order = new CommandOrder({ clock: new FakeClock() });
    read = [];
    const connection = { pauseReading: (isPaused: boolean) => void read.push(!isPaused) };
    enter = (topic, mode = 'alone') =>
      order.enter(connection as unknown as Connection, { mode, topics: () => [topic] }, undefined);
  });

  it('keep it from being read when they are 32, until half of them have begun', async () => {
    const turns = Array.from({ length: 32 }, () => enter('t'));
    assert.deepEqual(read, []);
    turns.push(enter('t'));
    assert.deepEqual(read, [false]);
    for (const turn of turns.slice(0, 15)) {
      turn.done();
      await settled();
    }
    assert.deepEqual(read, [false]);
    turns[15]!.done();
    await settled();
    assert.deepEqual(read, [false, true]);
    for (const turn of turns.slice(16)) {
      turn.done();
      await settled();
    }
    assert.deepEqual(read, [false, true]);
  });

  it('do so again when they are 32 again', async () => {
    for (let round = 0; round < 2; round++) {
      const first = enter('t');
      const publishes = Array.from({ length: 32 }, () => enter('t', 'together'));
      first.done();
      await settled();
      for (const turn of publishes) turn.done();
      await settled();
    }
    assert.deepEqual(read, [false, true, false, true]);
  });

  it('let it be read where they do not wait, however many they are', () => {
    for (let n = 0; n < 1000; n++) {
      enter(`t-${n}`);
      enter('other', 'together');
    }
    assert.deepEqual(read, []);
  });
});

describe('[P7] commands that have had their effect', () => {
  it('are not kept in the old generation of the heap, however many there are', () => {
    const order = new CommandOrder({ clock: new FakeClock() });
    const connections = Array.from({ length: 50 }, () => ({}) as Connection);
    const place = { mode: 'together', topics: () => ['t'] } as const;
    const enter = (n: number) => order.enter(connections[n % connections.length]!, place, undefined);
    const running = connections.map((_, n) => enter(n));
    const run = (commands: number, look: () => void) => {
      for (let n = 0; n < commands; n++) {
        const at = n % running.length;
        running[at]!.done();
        running[at] = enter(at);
        if (n % 10_000 === 0) look();
      }
    };
    // Those that stay get old.
    run(500_000, () => {});
    const before = oldBytes();
    let most = before;
    run(1_000_000, () => (most = Math.max(most, oldBytes())));
    assert.ok(most - before < 5_000_000, `${most - before} bytes`);
    for (const turn of running) turn.done();
    assert.equal(order.size, 0);
  });
});
