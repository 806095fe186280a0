import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Subscription } from '../../client/subscription.js';
import { TopicStream } from '../../client/topic-stream.js';
import { ClientSchedule } from '../support/client-schedule.js';
import { ReplicaPair } from '../support/replica-pair.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

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

  /** Runs schedules at the same time. Resolves to what was wrong, by seed. */
  async function run(
    schedules: number,
    from: number,
    faultsMs: number,
    patienceMs?: number,
    more?: () => Promise<unknown>,
  ): Promise<string[]> {
    const ports = [pair.a.port, pair.b.port];
    const runs = Array.from({ length: schedules }, async (_, i) => {
      const wrong = await new ClientSchedule(from + i, ports, faultsMs, patienceMs).run();
      return wrong.map((what) => `SEED=${from + i}: ${what}`);
    });
    const [results] = await Promise.all([Promise.all(runs), more?.()]);
    return results.flat();
  }

  it('hands over each message once, in order, while connections are cut, held, moved, pages reloaded and a replica killed', async () => {
    const kill = async () => {
      await sleep(1500);
      await pair.b.end('SIGKILL');
      await sleep(500);
      await pair.b.run();
    };
    assert.deepEqual(await run(24, seed, 4000, 30_000, kill), []);
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
        const wrong = await run(8, 1, 2500, 5000).catch((error: unknown) => [String(error)]);
        assert.notDeepEqual(wrong, []);
      } finally {
        methods[method] = original;
      }
    });
});
