import assert from 'node:assert/strict';
import type { Connection } from '../../../client/connection.js';
import type { ConnectionSettings } from '../../../client/connection-settings.js';
import { Hub } from '../../../client/tabs/hub.js';
import type { HubMessage, SharedSettings } from '../../../client/tabs/messages.js';

describe('[CLIENT] the page that holds the connection of all tabs', () => {
  it('waits for no token of another tab after it has ended', async () => {
    const said: HubMessage[] = [];
    let token!: ConnectionSettings['token'];
    const hub = new Hub({
      id: 'hub',
      say: (message) => said.push(message),
      connect: (_dependencies, settings) => {
        ({ token } = settings);
        return { connect: () => {}, disconnect: () => {} } as unknown as Connection;
      },
      whenGone: () => {},
    });
    for (const from of ['a', 'b'])
      hub.received({
        from,
        type: 'hello',
        settings: {} as SharedSettings,
        session_id: undefined,
        positions: {},
      });
    assert.ok(typeof token === 'function');
    const failed = assert.rejects(Promise.resolve(token('connect')), /no tab has given a token/);
    assert.deepEqual(said.at(-1), { hub: 'hub', to: ['a'], type: 'token?', n: 1, reason: 'connect' });
    hub.end();
    // Not only once the time of `b` is over.
    await failed;
  });
});
