import assert from 'node:assert/strict';
import { ProgramApi } from '../../../server/app/program-api.js';
import type { CommandRouter } from '../../../server/commands/router.js';
import { silentLog } from '../../../server/logging/log.js';
import { systemClock } from '../../../server/primitives/clock.js';
import type { Topics, Watch } from '../../../server/topics/topics.js';

describe('[EMBED] subscriptions of the program', () => {
  let watching: number;
  let open: () => void;
  let program: ProgramApi;

  beforeEach(() => {
    watching = 0;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const topics: Partial<Topics> = {
      watch: async (): Promise<Watch> => {
        await opened;
        watching++;
        return { position: { epoch: 'e', sequence: 0, previous: [] }, close: () => watching-- };
      },
    };
    program = new ProgramApi({
      router: {} as CommandRouter,
      topics: topics as Topics,
      log: silentLog,
      clock: systemClock,
    });
  });

  it('do not begin once the service stops, even if they were on their way', async () => {
    const onItsWay = program.subscribe('orders', () => {});
    program.close();
    open();
    await assert.rejects(onItsWay, { code: 'shutting_down' });
    await assert.rejects(
      program.subscribe('orders', () => {}),
      { code: 'shutting_down' },
    );
    assert.equal(watching, 0);
  });
});
