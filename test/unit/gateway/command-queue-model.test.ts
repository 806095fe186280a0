import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CommandQueue } from '../../../server/gateway/command-queue.js';
import { FakeCaller, type StartedCommand } from '../../support/fake-caller.js';
import { FakeClock } from '../../support/fake-clock.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const expensive = new Set(['history', 'missed', 'presence']);

type Step =
  | { do: 'ask'; caller: number; command: string }
  | { do: 'end'; which: number }
  | { do: 'fill' | 'drain' | 'leave'; caller: number }
  | { do: 'turn' };

const caller = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      caller,
      command: fc.constantFrom('publish', 'ping', 'history', 'missed', 'presence'),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('end' as const), which: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fill' as const), caller }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drain' as const), caller }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), caller }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
);

interface Asked {
  readonly caller: FakeCaller;
  started: boolean;
  answer: unknown;
}

class Run {
  private readonly clock = new FakeClock();
  private readonly callers = [1, 2, 3].map(() => new FakeCaller(this.clock));
  private readonly running: (StartedCommand & { readonly number: number; readonly caller: FakeCaller })[] =
    [];
  private readonly asked: Asked[] = [];
  private readonly left = new Set<FakeCaller>();
  private readonly queue = new CommandQueue({
    run: (connection, command, request) => {
      const number = request as number;
      const its = connection as unknown as FakeCaller;
      this.checkStart(its, command, number);
      return new Promise((resolve) =>
        this.running.push({ command, request, number, caller: its, end: resolve }),
      );
    },
    isExpensive: (command) => ['history', 'missed', 'presence'].includes(command),
    isConnected: (connection) => !this.left.has(connection as unknown as FakeCaller),
    clock: this.clock,
  });

  async take(one: Step): Promise<void> {
    const its = 'caller' in one ? this.callers[one.caller]! : this.callers[0]!;
    switch (one.do) {
      case 'ask':
        if (!this.left.has(its)) this.ask(its, one.command);
        break;
      case 'end':
        this.end(one.which);
        break;
      case 'fill':
        its.isOverfull = true;
        break;
      case 'drain':
        its.drain();
        break;
      case 'leave':
        this.left.add(its);
        this.queue.left(its.connection);
        break;
      case 'turn':
        await this.clock.runImmediates();
        break;
    }
  }

  /** All clients read, and every command ends: every connected client gets every answer. */
  async finish(): Promise<void> {
    for (let n = 0; n < 200; n++) {
      for (const one of this.callers) one.drain();
      this.end(0);
      await this.clock.settle();
    }
    this.asked.forEach((asked, number) => {
      if (asked.started)
        assert.deepEqual(asked.answer, { ok: true, number }, 'a command that ran gets its own answer');
      else assert.ok(this.left.has(asked.caller), 'only a closed connection may lose waiting commands');
    });
  }

  private ask(its: FakeCaller, command: string): void {
    const number = this.asked.length;
    const asked: Asked = { caller: its, started: false, answer: undefined };
    this.asked.push(asked);
    void this.queue.run(its.connection, command, number).then((answer) => {
      assert.equal(asked.answer, undefined, 'answered once');
      asked.answer = answer;
    });
  }

  private end(which: number): void {
    if (this.running.length === 0) return;
    const [one] = this.running.splice(which % this.running.length, 1);
    one!.end({ ok: true, number: one!.number } as { ok: true });
  }

  private checkStart(its: FakeCaller, command: string, number: number): void {
    assert.ok(!its.isOverfull, 'nothing starts while the answers are not read');
    assert.ok(!this.left.has(its), 'nothing starts for a connection that has left');
    const earlier = this.asked.slice(0, number).filter((asked) => asked.caller === its);
    assert.ok(
      earlier.every(({ started }) => started),
      'in the order of arrival',
    );
    const others = this.running.filter((one) => one.caller === its && expensive.has(one.command));
    assert.ok(!expensive.has(command) || others.length === 0, 'one expensive command at a time');
    this.asked[number]!.started = true;
  }
}

describe(`[P1] [P7] clients with random commands and reads (seed ${seed})`, function () {
  this.timeout(60_000);

  it('get their commands started in order, expensive ones one at a time, and each answered', async () => {
    const steps = fc.array(step, { minLength: 1, maxLength: 60, size: 'max' });
    const property = fc.asyncProperty(steps, async (some) => {
      const run = new Run();
      for (const one of some) await run.take(one);
      await run.finish();
    });
    await fc.assert(property, { seed, numRuns: 100 });
  });
});
