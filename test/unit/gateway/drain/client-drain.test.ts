import assert from 'node:assert/strict';
import { ClientDrain } from '../../../../server/gateway/drain/client-drain.js';
import type { MovableClient } from '../../../../server/gateway/drain/movable-client.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { seededRandom } from '../../../../bench/seeded-random.js';

/** A client that does what a test wants. */
class FakeClient implements MovableClient {
  isClosed = false;
  isServed = true;
  readonly closeLimitMs = 5000;
  /** What was done to it, and when. */
  readonly done: [what: string, at: number][] = [];
  closesIn: number | undefined;
  /** Whether it answers its close. */
  answers = true;

  constructor(private readonly clock: FakeClock) {}

  notify(closesInMs: number): void {
    this.closesIn = closesInMs;
    this.note('notified');
  }

  refuseCommands(): void {
    this.note('refused');
  }

  close(): void {
    this.note('closed');
    if (this.answers) this.isClosed = true;
  }

  cutOff(): void {
    this.note('cut off');
    this.isClosed = true;
  }

  at(what: string): number | undefined {
    return this.done.find(([name]) => name === what)?.[1];
  }

  private note(what: string): void {
    this.done.push([what, this.clock.now()]);
  }
}

describe('[P8] the drain of clients', () => {
  let clock: FakeClock;
  let drain: ClientDrain;
  let ended: boolean;

  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e6));
  const start = (
    count: number,
    windowMs: number,
    prepare: (client: FakeClient, n: number) => void = () => {},
  ) => {
    clock = new FakeClock();
    drain = new ClientDrain({ clock, random: seededRandomShare(seed) }, { windowMs, tailMs: 3000 });
    const clients = Array.from({ length: count }, (_, n) => {
      const client = new FakeClient(clock);
      prepare(client, n);
      return client;
    });
    ended = false;
    void drain.run(clients).then(() => (ended = true));
    return clients;
  };

  it(`closes no more than 15 % of the clients in any second of a window of ten (seed ${seed})`, async () => {
    const clients = start(500, 10_000);
    await clock.advance(11_000);
    const times = clients.map((client) => client.at('closed')!).sort((a, b) => a - b);
    let most = 0;
    for (const [n, from] of times.entries())
      most = Math.max(most, times.filter((at, i) => i >= n && at < from + 1000).length);
    assert.ok(most <= 75, `${most} in a second`);
    assert.deepEqual([drain.counts, ended], [{ moved: 500, forced: 0, remaining: 0 }, true]);
    assert.equal(clock.pendingTimers, 0);
  });

  it('moves them in another order, at other moments, each time', async () => {
    const clients = start(100, 5000);
    await clock.advance(6000);
    const order = clients.map((client, n) => [client.at('closed')!, n]).sort(([a], [b]) => a! - b!);
    assert.notDeepEqual(
      order.map(([, n]) => n),
      clients.map((_, n) => n),
    );
  });

  it('notifies each client a second before it closes it, and says when', async () => {
    const clients = start(20, 10_000);
    await clock.advance(11_000);
    for (const client of clients) {
      const waited = client.at('closed')! - client.at('notified')!;
      assert.ok(
        waited >= client.closesIn! && waited - client.closesIn! <= 500,
        `${waited} instead of ${client.closesIn}`,
      );
      assert.ok(client.closesIn! <= 1000);
    }
  });

  it('ends at once without clients', async () => {
    start(0, 10_000);
    await clock.settle();
    assert.equal(ended, true);
  });

  it('does not close a client before it is served, nor wait for it for ever', async () => {
    const clients = start(2, 1000, (client) => (client.isServed = false));
    await clock.advance(2000);
    assert.deepEqual(
      clients.map((client) => [client.at('refused') !== undefined, client.at('closed')]),
      [
        [true, undefined],
        [true, undefined],
      ],
    );
    clients[0]!.isServed = true;
    await clock.advance(50);
    assert.notEqual(clients[0]!.at('closed'), undefined);
    await clock.advance(3000);
    assert.deepEqual([drain.counts, ended], [{ moved: 1, forced: 1, remaining: 0 }, true]);
  });

  it('cuts off a client that does not close', async () => {
    const clients = start(50, 10_000, (client, n) => (client.answers = n !== 7));
    await clock.advance(15_000);
    assert.deepEqual(drain.counts, { moved: 49, forced: 1, remaining: 0 });
    assert.ok(clients[7]!.at('cut off')! - clients[7]!.at('closed')! <= 5050);
  });

  it('counts clients that leave after the notice as moved, and forgets those that left before it', async () => {
    const clients = start(3, 10_000);
    const byNotice = [...clients].sort((a, b) => (a.closesIn ?? Infinity) - (b.closesIn ?? Infinity));
    byNotice[2]!.isClosed = true;
    while (byNotice.every((client) => client.closesIn === undefined)) await clock.advance(50);
    clients.find((client) => client.closesIn !== undefined && !client.isClosed)!.isClosed = true;
    await clock.advance(11_000);
    assert.deepEqual(drain.counts, { moved: 2, forced: 0, remaining: 0 });
  });

  it('does not make up for a pause of the process all at once', async () => {
    const clients = start(400, 10_000);
    await clock.advance(2000);
    clock.work(4000);
    const before = drain.counts.moved;
    await clock.advance(1000);
    const inOneSecond = drain.counts.moved - before;
    assert.ok(inOneSecond <= 75, `${inOneSecond} of 400 in the second after the pause`);
    await clock.advance(10_000);
    assert.ok(clients.every(({ isClosed }) => isClosed));
  });

  it('moves clients that come later within the window too', async () => {
    start(10, 4000);
    await clock.advance(2000);
    const late = Array.from({ length: 10 }, () => new FakeClient(clock));
    for (const client of late) drain.add(client);
    await clock.advance(2200);
    assert.deepEqual([drain.counts, ended], [{ moved: 20, forced: 0, remaining: 0 }, true]);
  });

  it('can be abandoned: what remains counts as forced, and is not touched any more', async () => {
    const clients = start(10, 10_000);
    await clock.advance(5000);
    const { moved } = drain.counts;
    drain.abandon();
    await clock.settle();
    assert.deepEqual([drain.counts, ended], [{ moved, forced: 10 - moved, remaining: 0 }, true]);
    await clock.advance(10_000);
    assert.equal(clients.filter(({ isClosed }) => isClosed).length, moved);
    assert.equal(clock.pendingTimers, 0);
  });
});

function seededRandomShare(seed: number): () => number {
  const random = seededRandom(seed);
  return () => random(1_000_000) / 1_000_000;
}
