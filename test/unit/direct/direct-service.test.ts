import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import { DirectService } from '../../../server/direct/direct-service.js';
import type { Subscriber } from '../../../server/fanout/subscriber.js';
import { silentLog } from '../../../server/logging/log.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('[P6] an inbox that cannot be read', () => {
  it('is read again as soon as the log is reachable, without the pause between two attempts', async () => {
    let attempts = 0;
    const direct = new DirectService({
      topics: {
        follow: () => {
          attempts++;
          return Promise.reject(new RefusalError('unavailable', 'the log is unavailable'));
        },
      },
      log: silentLog,
    } as unknown as ConstructorParameters<typeof DirectService>[0]);
    const connections = ['a', 'b'].map(
      (id) => ({ id, identity: { userId: id }, outbox: { isOverfull: false } }) as unknown as Subscriber,
    );
    try {
      await Promise.all(connections.map((connection) => direct.add(connection)));
      await turn();
      assert.equal(attempts, 2);
      direct.goOn();
      await turn();
      assert.equal(attempts, 4);
    } finally {
      direct.close();
    }
    await turn();
    assert.equal(attempts, 4, 'a service that is closed makes no attempt');
  });
});
