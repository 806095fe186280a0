import assert from 'node:assert/strict';
import type { Bus, BusHandler } from '../../../server/cluster/bus.js';
import { ReplicaStreams } from '../../../server/cluster/replica-streams.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom } from '../../../bench/seeded-random.js';

/** A bus between two replicas that loses messages, or keeps them until they are delivered. */
class LossyBus {
  readonly handlers = new Map<string, BusHandler>();
  posted = 0;
  loses: () => boolean = () => false;
  ended = new Set<string>();

  of(replicaId: string): Bus {
    return {
      replicaId,
      on: (_kind, handler) => void this.handlers.set(replicaId, handler),
      send: () => assert.fail('streams ask whether they are received'),
      reach: async (to, _kind, data) => {
        this.posted++;
        if (this.ended.has(to)) return false;
        const text = JSON.stringify(data);
        if (!this.loses())
          await Promise.resolve().then(() => this.handlers.get(to)?.(JSON.parse(text), replicaId));
        return true;
      },
      broadcast: () => {},
      replicas: async () => ['a', 'b'],
      liveReplicas: async () => ['a', 'b'],
      close: async () => {},
    };
  }
}

describe('streams of frames between replicas', () => {
  let clock: FakeClock;
  let bus: LossyBus;
  let awaited: boolean;
  const side = (replicaId: string) => {
    const received: unknown[] = [];
    const lost: string[] = [];
    const streams = new ReplicaStreams(
      {
        bus: bus.of(replicaId),
        clock,
        onFrame: (frame) => received.push((frame as { n: number }).n),
        onLost: (replica) => lost.push(replica),
        isAwaited: () => awaited,
      },
      { kind: 'test' },
    );
    return { streams, received, lost };
  };
  beforeEach(() => {
    clock = new FakeClock();
    bus = new LossyBus();
    awaited = false;
  });

  it('send the frames of one turn in one message', async () => {
    const [a, b] = [side('a'), side('b')];
    for (let n = 0; n < 100; n++) a.streams.send('b', { n }, 100);
    await clock.advance(1);
    assert.equal(bus.posted, 1);
    assert.deepEqual(b.received, [...Array(100).keys()]);
  });

  it('cost two messages a minute and side when nothing is under way', async () => {
    const [a] = [side('a'), side('b')];
    a.streams.send('b', { n: 1 }, 100);
    await clock.advance(5000);
    const { posted } = bus;
    await clock.advance(300_000);
    assert.ok(bus.posted - posted <= 20, `${bus.posted - posted} messages in five minutes`);
  });

  it('hold back what exceeds the window until the other side has acknowledged', async () => {
    const [a, b] = [side('a'), side('b')];
    bus.loses = () => true;
    for (let n = 0; n < 50; n++) a.streams.send('b', { n, data: 'x'.repeat(32_768) }, 32_768);
    await clock.advance(1);
    assert.equal(bus.posted, 4, 'four messages of 64 KiB');
    bus.loses = () => false;
    await clock.advance(3000);
    assert.deepEqual(b.received, [...Array(50).keys()]);
  });

  it('deliver every frame once and in order over a bus that loses a third of all messages', async () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
    const random = seededRandom(seed);
    const [a, b] = [side('a'), side('b')];
    bus.loses = () => random(3) === 0;
    awaited = true;
    for (let n = 0; n < 300; n++) {
      a.streams.send('b', { n }, 2000);
      b.streams.send('a', { n }, 2000);
      await clock.advance(random(40));
    }
    for (let turn = 0; turn < 1000 && (a.received.length < 300 || b.received.length < 300); turn++)
      await clock.advance(500);
    assert.deepEqual([a.lost, b.lost], [[], []], `seed ${seed}`);
    assert.deepEqual(a.received, [...Array(300).keys()], `seed ${seed}`);
    assert.deepEqual(b.received, [...Array(300).keys()], `seed ${seed}`);
  });

  it('are lost within two seconds if the other replica has ended, and within six if it is silent', async () => {
    for (const [limitMs, fail] of [
      [2100, () => bus.ended.add('b')],
      [6100, () => (bus.loses = () => true)],
    ] as const) {
      bus = new LossyBus();
      const [a] = [side('a'), side('b')];
      awaited = true;
      a.streams.send('b', { n: 1 }, 100);
      await clock.advance(10);
      fail();
      a.streams.send('b', { n: 2 }, 100);
      await clock.advance(limitMs - 1200);
      assert.deepEqual(a.lost, []);
      await clock.advance(1200);
      assert.deepEqual(a.lost, ['b']);
      a.streams.close();
    }
  });

  it('are not lost when the other side was not needed for long', async () => {
    const [a, b] = [side('a'), side('b')];
    for (let n = 0; n < 5; n++) {
      a.streams.send('b', { n }, 100);
      await clock.advance(20_000 * n);
    }
    assert.deepEqual([a.lost, b.lost], [[], []]);
    assert.deepEqual(b.received, [0, 1, 2, 3, 4]);
  });

  it('begin anew, on both sides, when one side has begun anew', async () => {
    const [a, b] = [side('a'), side('b')];
    a.streams.send('b', { n: 1 }, 100);
    await clock.advance(10);
    b.streams.send('a', { n: 1 }, 100);
    await clock.advance(10);
    const successor = side('a');
    successor.streams.send('b', { n: 2 }, 100);
    await clock.advance(10);
    b.streams.send('a', { n: 3 }, 100);
    await clock.advance(10);
    assert.deepEqual(b.lost, ['a']);
    assert.deepEqual(b.received, [1, 2]);
    assert.deepEqual(successor.received, [3]);
    assert.deepEqual(successor.lost, []);
  });
});
