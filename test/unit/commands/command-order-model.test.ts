import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CommandOrder } from '../../../server/commands/command-order.js';
import {
  everyTopic,
  type OrderedTopics,
  type OrderMode,
  type Turn,
} from '../../../server/commands/command-turn.js';
import { FakeClock } from '../../support/fake-clock.js';
import type { Connection } from '../../../server/protocol/connection.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

interface Arrival {
  readonly mode: OrderMode;
  readonly topics: OrderedTopics;
  /** Its code is not called as soon as it is its turn: it waits for room for its answer. */
  readonly needsRoom: boolean;
}

const mode = fc.constantFrom<OrderMode>('alone', 'together', 'at_once');
const topics = fc.oneof(
  { weight: 8, arbitrary: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constant(everyTopic) },
);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('arrive' as const), mode, topics, needsRoom: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('room' as const), which: fc.nat(9) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('end' as const), which: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('leave' as const),
      which: fc.nat(9),
      topic: fc.constantFrom('a', 'b', 'c'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('while' as const) }) },
  // Without it the next steps are in the same turn of the event loop.
  { weight: 6, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

/** A command as its sender sees it. */
class Sent {
  hasBegun = false;
  isCalled = false;
  isDone = false;
  /** It has waited for a while behind the earlier ones on every topic. */
  isImpatient = false;
  readonly left = new Set<string>();

  constructor(
    readonly turn: Turn,
    readonly arrival: Arrival,
  ) {}

  call(): void {
    this.isCalled = true;
    this.turn.runs();
  }

  end(): void {
    this.isCalled = true;
    this.isDone = true;
    this.turn.done();
  }

  leave(topic: string): void {
    this.left.add(topic);
    this.turn.doneWith(topic);
  }

  /** Whether it still may have an effect on a topic that another one concerns. */
  concerns(others: OrderedTopics): boolean {
    if (this.isDone) return false;
    const { topics: its } = this.arrival;
    if (its === everyTopic || others === everyTopic) return true;
    return its.some((topic) => !this.left.has(topic) && others.includes(topic));
  }

  /** Whether a later command may run beside it. */
  allows({ arrival: { mode: later, topics: others }, isImpatient }: Sent): boolean {
    if (!this.concerns(others)) return true;
    if (!this.hasBegun || this.arrival.topics === everyTopic) return false;
    if (later === 'at_once') return others !== everyTopic || (isImpatient && this.isCalled);
    return others !== everyTopic && later === 'together' && this.arrival.mode === 'together';
  }
}

class Run {
  private readonly clock = new FakeClock();
  private readonly order = new CommandOrder({ clock: this.clock });
  private readonly connection = {} as Connection;
  private readonly sent: Sent[] = [];

  take(next: Step): Promise<void> | void {
    switch (next.do) {
      case 'arrive':
        this.arrive(next);
        return;
      case 'room':
        this.pick(next.which, ({ hasBegun, isCalled }) => hasBegun && !isCalled)?.call();
        return;
      case 'end':
        this.running(next.which)?.end();
        return;
      case 'leave':
        this.running(next.which)?.leave(next.topic);
        return;
      case 'while':
        return this.aWhile();
      case 'turn':
        return this.turn();
    }
  }

  /** Everything ends; then nothing waits. */
  async finish(): Promise<void> {
    for (let n = 0; n <= this.sent.length; n++) {
      await this.turn();
      this.running(0)?.end();
    }
    assert.ok(
      this.sent.every(({ isDone }) => isDone),
      'every command has run',
    );
    assert.equal(this.clock.pendingTimers, 0, 'no timer is left');
    assert.equal(this.order.size, 0, 'nothing is kept of a connection without commands');
  }

  private arrive(arrival: Arrival): void {
    const place = { mode: arrival.mode, topics: () => arrival.topics };
    const one = new Sent(this.order.enter(this.connection, place, undefined), arrival);
    this.sent.push(one);
    const begin = () => {
      assert.ok(this.mayBegin(one), `command ${this.sent.indexOf(one)} begins too early`);
      one.hasBegun = true;
      if (!arrival.needsRoom) one.call();
    };
    if (one.turn.begun === undefined) begin();
    else void one.turn.begun.then(begin);
  }

  private async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.sent.forEach((one, n) =>
      assert.equal(one.hasBegun, this.mayBegin(one), `command ${n} waits too long`),
    );
  }

  private async aWhile(): Promise<void> {
    await this.turn();
    for (const [n, one] of this.sent.entries()) {
      const isBehind = this.sent
        .slice(0, n)
        .some(({ arrival, isDone }) => arrival.topics === everyTopic && !isDone);
      if (!isBehind) one.isImpatient = true;
    }
    await this.clock.advance(500);
    await this.turn();
  }

  private mayBegin(one: Sent): boolean {
    return this.sent.slice(0, this.sent.indexOf(one)).every((earlier) => earlier.allows(one));
  }

  /** One of those that have begun, whether or not their code was called: one without room is refused. */
  private running(which: number): Sent | undefined {
    return this.pick(which, ({ hasBegun, isDone }) => hasBegun && !isDone);
  }

  private pick(which: number, matches: (one: Sent) => boolean): Sent | undefined {
    const some = this.sent.filter(matches);
    return some[which % some.length];
  }
}

describe(`[P1] commands of a connection, in a random order on random topics (seed ${seed})`, function () {
  this.timeout(60_000);

  it('begin as soon as the earlier ones on their topics let them, and never before', async () => {
    const property = fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async (steps) => {
      const run = new Run();
      for (const next of steps) await run.take(next);
      await run.finish();
    });
    await fc.assert(property, { seed, numRuns: 2000 });
  });
});
