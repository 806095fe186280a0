import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Subscription } from '../../client/subscription.js';
import { TopicStream } from '../../client/topic-stream.js';
import { ClientSchedule, type ScheduleSize } from '../support/client-schedule.js';
import { TestReplica } from '../support/replica.js';
import { ReplicaPair } from '../support/replica-pair.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

/** More by command: `SCHEDULES=3000 npm test -- test/integration/client-faults.test.ts`. */
const schedules = Number(process.env['SCHEDULES'] ?? 60);
const atATime = 30;

/** Runs schedules. Resolves to what was wrong, by seed. */
async function run(
  count: number,
  from: number,
  ports: readonly number[],
  size: ScheduleSize,
): Promise<string[]> {
  const wrong: string[] = [];
  let next = 0;
  const runSome = async () => {
    while (next < count) {
      const one = from + next++;
      for (const what of await new ClientSchedule(one, ports, size).run()) wrong.push(`SEED=${one}: ${what}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, atATime) }, runSome));
  return wrong;
}

type Methods = Record<string, (...args: never[]) => unknown>;

describe(`[CLIENT] the client library behind paths with faults (SEED=${seed})`, function () {
  this.timeout(120_000);
  let pair: ReplicaPair;

  before(async () => {
    const heartbeats = {
      RTC_WEBSOCKET_HEARTBEAT_INTERVAL_SECS: '1',
      RTC_WEBSOCKET_CLIENT_TIMEOUT_SECS: '2',
    };
    pair = await ReplicaPair.start('redis', heartbeats, 'aof');
  });
  after(() => pair.stop());

  const long: ScheduleSize = { faultsMs: 4000, messages: 40, patienceMs: 30_000 };

  it('hands over each message once, in order, while connections are cut, held, moved, pages reloaded and replicas killed', async function () {
    this.timeout(120_000 + schedules * 2000);
    let isOver = false;
    const killInTurn = async () => {
      for (let n = 0; !isOver; n++) {
        const replica = n % 2 === 0 ? pair.b : pair.a;
        await sleep(1500);
        await replica.end('SIGKILL');
        await sleep(500);
        await replica.run();
      }
    };
    const killed = killInTurn();
    const ports = [pair.a.port, pair.b.port];
    const wrong = await run(Math.max(24, schedules / 10), seed, ports, long).finally(() => (isOver = true));
    await killed;
    assert.deepEqual(wrong, []);
  });

  it(`hands over each message once, in order, in ${schedules} short schedules`, async function () {
    this.timeout(60_000 + schedules * 500);
    // One process, in memory: its log lasts as long as the process.
    const replica = await TestReplica.start();
    try {
      const short: ScheduleSize = { faultsMs: 400, messages: 12, patienceMs: 30_000 };
      assert.deepEqual(await run(schedules, seed, [replica.port], short), []);
    } finally {
      await replica.end('SIGKILL');
    }
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
      method: 'handOverBatch',
      by: (original: (batch: { messages: unknown[] }) => unknown) =>
        function (
          this: { done(messages: unknown[], from: number, to: number): void },
          batch: { messages: unknown[] },
        ) {
          this.done(batch.messages, 0, batch.messages.length);
          return original.call(this, batch);
        },
    },
  };
  for (const [bug, { of, method, by }] of Object.entries(planted))
    it(`finds a planted bug: ${bug}`, async () => {
      const methods = of as Methods;
      const original = methods[method]!;
      methods[method] = by(original as never) as Methods[string];
      try {
        const ports = [pair.a.port, pair.b.port];
        const size = { faultsMs: 2500, messages: 40, patienceMs: 5000 };
        const wrong = await run(8, 1, ports, size).catch((error: unknown) => [String(error)]);
        assert.notDeepEqual(wrong, []);
      } finally {
        methods[method] = original;
      }
    });
});
