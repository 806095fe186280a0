import assert from 'node:assert/strict';
import { createClient, type AnyClient } from '../../../client/index.js';
import { ConnectionMonitor, GuideClient } from '../../../client/guide.js';
import { ClientProvider } from '../../../client/react.js';

describe('[CLIENT] a client of typed topics', () => {
  it('is taken where a client of any topics is', () => {
    const typed = createClient<{ 'orders.*': { id: number }; chat: { text: string } }>({
      url: '',
      token: '',
    });
    const client: AnyClient = typed;
    assert.equal(client.state.state, 'idle');
    assert.equal(new ConnectionMonitor(typed).report().disconnects.count, 0);
    assert.deepEqual(new GuideClient(typed).savedTopics, []);
    assert.equal(ClientProvider.length, 1);
    // Compiles.
    const component = () => ClientProvider({ client: typed });
    assert.equal(typeof component, 'function');
  });
});
