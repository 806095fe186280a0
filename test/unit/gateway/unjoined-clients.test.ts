import assert from 'node:assert/strict';
import { UnjoinedClients } from '../../../server/gateway/handshake/unjoined-clients.js';

describe('[LIMITS] clients that have not joined', () => {
  it('have room for a limited number, and for half of it from one address', () => {
    const clients = new UnjoinedClients({ limit: 4 });
    clients.add('a');
    clients.add('a');
    assert.deepEqual(
      [clients.hasRoom('a'), clients.hasRoom('b'), clients.hasRoom(undefined)],
      [false, true, true],
    );
    clients.add('b');
    // A client that is not limited by address counts for all together.
    clients.add(undefined);
    assert.deepEqual([clients.hasRoom('b'), clients.hasRoom(undefined)], [false, false]);
    clients.remove('a');
    assert.deepEqual([clients.hasRoom('a'), clients.hasRoom('b')], [true, true]);
  });

  it('are not limited if the limit is 0', () => {
    const clients = new UnjoinedClients({ limit: 0 });
    for (let n = 0; n < 5000; n++) clients.add('a');
    assert.ok(clients.hasRoom('a'));
  });
});
