import assert from 'node:assert/strict';
import { seededRandom } from '../../../../bench/seeded-random.js';
import type { ClusterOperations } from '../../../../server/admin/cluster-operations.js';
import {
  RecipientOperations,
  type RecipientFacts,
} from '../../../../server/admin/recipients/recipient-operations.js';
import { judge, type Verdict } from '../../../../server/admin/recipients/recipient-verdict.js';
import type { OutboxOverflow } from '../../../../server/fanout/active-topic.js';
import { FanOutHarness, type HarnessTopic } from '../../../support/fan-out-harness.js';
import type { FakeSubscriber } from '../../../support/fake-subscriber.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

/** One user on a real fan-out, and what an operator is told of each message. */
class Asked {
  private constructor(
    readonly harness: FanOutHarness,
    readonly topic: HarnessTopic,
  ) {}
  /** Of the present connection. */
  private readers: FakeSubscriber[] = [];

  static async start(overflow: OutboxOverflow): Promise<Asked> {
    const harness = new FanOutHarness({
      overflow,
      outbox: { limitMessages: 4, limitBytes: 1_000_000, totalBytes: 10_000_000 },
      payloadBytes: 100,
    });
    return new Asked(harness, await harness.addTopic('t'));
  }

  join(): FakeSubscriber {
    const reader = this.harness.addSubscriber(`c${this.readers.length}`);
    this.readers.push(reader);
    this.harness.join(reader, this.topic);
    return reader;
  }

  /** Sequences that have arrived on any connection. */
  arrived(): Set<number> {
    const sequences = this.readers.flatMap(({ transport }) =>
      transport.received.flatMap((text) => {
        const found = /"sequence":(\d+)/.exec(text);
        return found !== null && text.startsWith(`42["message"`) ? [Number(found[1])] : [];
      }),
    );
    return new Set(sequences);
  }

  ask(sequence: number): Verdict {
    const { harness, topic } = this;
    let answer: ((query: object) => RecipientFacts) | undefined;
    new RecipientOperations({
      replicaId: 'a',
      connections: () => [...harness.subscribers.values()].filter((one) => harness.isMember(one, topic)),
      topics: { subscriptionOf: ({ id }) => topic.active.subscription(id) },
      sessions: { confirmedBy: () => ({ position: undefined, lastAt: undefined }) },
      direct: { recipientOf: () => undefined },
      maySubscribe: () => true,
      record: harness.record,
      departedAt: () => undefined,
    }).serve({ answer: (_: unknown, run: typeof answer) => (answer = run) } as unknown as ClusterOperations);
    const facts = answer!({ user: 'ann', message: 'm', topic: 't' });
    const { end } = topic.log;
    const message = {
      topic: 't',
      epoch: end.epoch,
      sequence,
      at: harness.clock.wallTime(),
      lineage: end,
      trace: [],
    };
    return judge(message, { facts: [facts], sessions: [], silent: [] });
  }
}

describe(`[WHY] what operators are told, compared with what has arrived (SEED=${seed})`, () => {
  for (const overflow of ['catch_up', 'drop_oldest', 'drop_newest', 'disconnect'] as const)
    it(`is never that a message was delivered that did not arrive, nor the reverse: ${overflow}`, async () => {
      for (let run = 0; run < 30; run++) {
        const random = seededRandom(seed + run);
        const asked = await Asked.start(overflow);
        const { harness, topic } = asked;
        try {
          let reader: FakeSubscriber | undefined;
          let published = 0;
          for (let step = 0; step < 40; step++) {
            const choice = random(10);
            if (reader?.disconnectedFor !== undefined) reader = undefined;
            if (choice < 5) {
              harness.publish(topic);
              published++;
            } else if (choice === 5) reader ??= asked.join();
            else if (choice === 6 && reader !== undefined) reader.transport.reading = false;
            else if (choice === 7 && reader !== undefined) reader.transport.resume();
            else if (choice === 8 && reader !== undefined) {
              // What is in the transport of a connection that ends may be lost.
              reader.transport.resume();
              await harness.clock.advance(1000);
              harness.leave(reader, topic);
              reader = undefined;
            }
            await harness.clock.advance(10);
          }
          reader?.transport.resume();
          await harness.clock.advance(2000);
          const arrived = asked.arrived();
          for (let sequence = 1; sequence <= published; sequence++) {
            const { outcome } = asked.ask(sequence);
            const context = `run ${run}, message ${sequence}: ${outcome}`;
            if (arrived.has(sequence)) assert.equal(outcome, 'delivered', context);
            else if (overflow !== 'disconnect') assert.notEqual(outcome, 'delivered', context);
            assert.notEqual(outcome, 'acknowledged', context);
            assert.notEqual(outcome, 'paused', context);
          }
        } finally {
          harness.close();
        }
      }
    });
});
