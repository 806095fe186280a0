import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { runSchedules, scheduleCount, type ScheduleSize } from '../support/client-schedule.js';
import { ReplicaPair } from '../support/replica-pair.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

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

  const long: ScheduleSize = { faultsMs: 4000, messages: 40, listenerMs: 60, patienceMs: 60_000 };

  it('hands over each message once, in order, while connections are cut, held, moved, pages reloaded and replicas killed', async function () {
    this.timeout(120_000 + scheduleCount * 2000);
    let isOver = false;
    // At the end, both are there.
    const kills = Math.max(2, scheduleCount / 30);
    const killInTurn = async () => {
      for (let n = 0; !isOver && n < kills; n++) {
        const replica = n % 2 === 0 ? pair.b : pair.a;
        await sleep(1500);
        await replica.end('SIGKILL');
        await sleep(500);
        await replica.run();
      }
    };
    const killed = killInTurn();
    const ports = [pair.a.port, pair.b.port];
    const wrong = await runSchedules(Math.max(24, scheduleCount / 10), seed, ports, long).finally(
      () => (isOver = true),
    );
    await killed;
    assert.deepEqual(wrong, []);
  });
});
