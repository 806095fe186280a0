import assert from 'node:assert/strict';
import { Subscription } from '../../client/subscription.js';
import { TopicStream } from '../../client/topic-stream.js';
import { runSchedules, scheduleCount, type ScheduleSize } from '../support/client-schedule.js';
import { TestReplica } from '../support/replica.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

type Methods = Record<string, (...args: never[]) => unknown>;

describe(`[CLIENT] the client library in random schedules (SEED=${seed})`, function () {
  this.timeout(120_000);
  // In memory: its log lasts as long as the process.
  let replica: TestReplica;

  before(async () => {
    replica = await TestReplica.start();
  });
  after(() => replica.end('SIGKILL'));

  it(`hands over each message once, in order, in ${scheduleCount} short schedules`, async function () {
    this.timeout(60_000 + scheduleCount * 500);
    const short: ScheduleSize = { faultsMs: 400, messages: 12, listenerMs: 10, patienceMs: 60_000 };
    assert.deepEqual(await runSchedules(scheduleCount, seed, [replica.port], short), []);
  });

  const planted: Record<string, { of: object; method: string; by: (original: never) => unknown }> = {
    'repetitions are not recognised': {
      of: TopicStream.prototype,
      method: 'isNew',
      by: () => () => true,
    },
    'what was missed is not repaired': {
      of: TopicStream.prototype,
      method: 'joined',
      by: (original: TopicStream['joined']) =>
        function (this: TopicStream, joined: Parameters<TopicStream['joined']>[0]) {
          (this as unknown as { at: unknown }).at = { epoch: joined.epoch, sequence: joined.sequence };
          original.call(this, joined);
        },
    },
    'the position is saved before the listener': {
      of: Subscription.prototype,
      method: 'handOver',
      by: (original: (item: { messages?: unknown[] }) => unknown) =>
        function (
          this: { done(messages: unknown[], from: number, to: number): void },
          item: { messages?: unknown[] },
        ) {
          if (item.messages) this.done(item.messages, 0, item.messages.length);
          return original.call(this, item);
        },
    },
  };
  for (const [bug, { of, method, by }] of Object.entries(planted))
    it(`finds a planted bug: ${bug}`, async () => {
      const methods = of as Methods;
      const original = methods[method]!;
      methods[method] = by(original as never) as Methods[string];
      try {
        const ports = [replica.port];
        const size = { faultsMs: 2500, messages: 40, listenerMs: 150, patienceMs: 20_000 };
        let wrong: string[] = [];
        // A schedule shows a bug or not, by when things happen to arrive.
        for (let from = 1; wrong.length === 0 && from < 100; from += 16)
          wrong = await runSchedules(16, from, ports, size).catch((error: unknown) => [String(error)]);
        assert.notDeepEqual(wrong, []);
      } finally {
        methods[method] = original;
      }
    });
});
