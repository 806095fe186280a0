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

  it('publishes to a topic of several names only what all of them have', () => {
    const client = createClient<{
      'orders.*': { id: number };
      chat: { text: string };
      either: { id: number } | { text: string };
    }>({ url: '', token: '' });
    const name = 'chat' as 'orders.1' | 'chat';
    // Compiles, or not.
    const calls = () => [
      client.topic('orders.1').publish({ id: 1 }),
      client.topic('either').publish({ id: 1 }),
      client.topic(name).publish({ id: 1, text: 'hi' }),
      // @ts-expect-error it may be the other topic
      client.topic(name).publish({ text: 'hi' }),
      // @ts-expect-error another type
      client.topic('chat').publish({ id: 1 }),
      client
        .topic(name)
        .subscribe()
        .on('message', ({ payload }) => ('id' in payload ? payload.id : payload.text)),
      createClient({ url: '', token: '' }).topic('any').publish(1),
    ];
    assert.equal(typeof calls, 'function');
  });
});
