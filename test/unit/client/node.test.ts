import assert from 'node:assert/strict';
import { createOutbox } from '../../../client/outbox.js';
import { tabsBrowser } from '../../../client/tabs/browser.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[CLIENT] a Node that has Web Locks', () => {
  let former: PropertyDescriptor | undefined;

  beforeEach(() => {
    former = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
    const locks = { request: () => new Promise(() => {}), query: () => Promise.resolve({ held: [] }) };
    Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true });
  });
  afterEach(() => {
    if (former === undefined) Reflect.deleteProperty(globalThis, 'navigator');
    else Object.defineProperty(globalThis, 'navigator', former);
  });

  it('has no tabs: each client has a connection of its own', () => {
    assert.equal(tabsBrowser(), undefined);
  });

  it('sends from memory what an outbox cannot keep there', async () => {
    const clock = new FakeClock();
    const errors: string[] = [];
    const queue = createOutbox()(
      {
        request: () => Promise.resolve('stored'),
        isConnected: () => true,
        clock,
        onUnknown: () => {},
        onError: ({ code }) => errors.push(code),
      },
      { max: 10, maxBytes: 10_000, windowMs: 60_000, inFlightMax: 2 },
    );
    queue.connected();
    const receipt = queue.add({ command: 'publish', body: { key: 'a', topic: 't', payload: 1 } });
    assert.equal(await receipt, 'stored');
    queue.close();
    assert.ok(errors.every((code) => code === 'store_failed'));
  });
});
