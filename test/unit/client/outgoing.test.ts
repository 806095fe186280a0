import assert from 'node:assert/strict';
import { ClientError } from '../../../client/client-error.js';
import { createOutbox, type OutgoingStore } from '../../../client/outbox.js';
import {
  Outgoing,
  type OutgoingItem,
  type OutgoingDependencies,
  type OutgoingOptions,
} from '../../../client/outgoing.js';
import { FakeClock } from '../../support/fake-clock.js';

interface Sent {
  readonly key: string;
  answer(receipt: unknown): void;
  refuse(error: ClientError): void;
}

/** A store that keeps items in memory, and notes in which state they were stored. */
class MemoryOutbox implements OutgoingStore {
  readonly items = new Map<string, OutgoingItem>();
  load = () => Promise.resolve([...this.items.values()]);
  put = (item: OutgoingItem) => Promise.resolve(void this.items.set(item.body.key, { ...item }));
  sending = (key: string, at: number) => {
    const item = this.items.get(key);
    if (item !== undefined) item.sentAt ??= at;
    return Promise.resolve(item?.sentAt);
  };
  remove = (key: string) => Promise.resolve(void this.items.delete(key));
}

describe('[CLIENT] the outgoing queue', () => {
  let clock: FakeClock;
  let sent: Sent[];
  let unknown: OutgoingItem[];
  let isConnected: boolean;

  beforeEach(() => {
    clock = new FakeClock();
    sent = [];
    unknown = [];
    isConnected = false;
  });

  function queueOf({
    onError = (error) => assert.fail(error),
    store,
    ...options
  }: { max?: number; store?: OutgoingStore; onError?: (error: ClientError) => void } = {}): Outgoing {
    const queueOptions: OutgoingOptions = {
      max: 100,
      maxBytes: 10_000,
      windowMs: 60_000,
      inFlightMax: 2,
      ...options,
    };
    const dependencies: OutgoingDependencies = {
      request: (_, body) =>
        new Promise((answer, refuse) => sent.push({ key: (body as { key: string }).key, answer, refuse })),
      isConnected: () => isConnected,
      clock,
      onUnknown: (item) => unknown.push(item),
      onError,
    };
    return store === undefined
      ? new Outgoing(dependencies, queueOptions)
      : createOutbox({ store })(dependencies, queueOptions);
  }

  const item = (key: string): OutgoingItem => ({ command: 'publish', body: { key, topic: 't', payload: 1 } });
  const keys = () => sent.map(({ key }) => key);
  const lost = () => new ClientError('not_connected', 'lost');
  async function connect(queue: Outgoing): Promise<void> {
    isConnected = true;
    queue.connected();
    await clock.settle();
  }
  async function disconnect(): Promise<void> {
    isConnected = false;
    for (const { refuse } of sent.splice(0)) refuse(lost());
    await clock.settle();
  }

  it('sends in the order of the calls, no more at a time than it may', async () => {
    const queue = queueOf();
    const receipts = ['a', 'b', 'c'].map((key) => queue.add(item(key)));
    assert.deepEqual(keys(), []);
    await connect(queue);
    assert.deepEqual(keys(), ['a', 'b']);
    sent[0]!.answer('stored');
    assert.equal(await receipts[0], 'stored');
    await clock.settle();
    assert.deepEqual(keys(), ['a', 'b', 'c']);
  });

  it('sends again what was not answered, with the same key, before what waits', async () => {
    const queue = queueOf();
    for (const key of ['a', 'b', 'c']) void queue.add(item(key));
    await connect(queue);
    await disconnect();
    await connect(queue);
    assert.deepEqual(keys(), ['a', 'b']);
  });

  it('waits as long as the service asks when it is busy, and gives other refusals to the caller', async () => {
    const queue = queueOf();
    const refused = assert.rejects(queue.add(item('a')), { code: 'forbidden' });
    void queue.add(item('b'));
    await connect(queue);
    sent[0]!.refuse(new ClientError('forbidden', 'no'));
    sent[1]!.refuse(new ClientError('busy', 'later', { retryAfterMs: 700 }));
    await refused;
    await clock.advance(699);
    assert.equal(sent.length, 2);
    await clock.advance(1);
    assert.deepEqual(keys(), ['a', 'b', 'b']);
  });

  it('does not send again what the service may have forgotten: its outcome is unknown', async () => {
    const queue = queueOf();
    const unconfirmed = assert.rejects(queue.add(item('a')), { code: 'unknown' });
    await connect(queue);
    await disconnect();
    const never = queue.add(item('b'));
    await clock.advance(60_001);
    await connect(queue);
    await unconfirmed;
    // What was never sent has no window.
    assert.deepEqual(keys(), ['b']);
    sent[0]!.answer(1);
    assert.equal(await never, 1);
  });

  it('does not send again what was sent at a time that is still to come, because the clock was set back', async () => {
    const store = new MemoryOutbox();
    await store.put({ ...item('a'), sentAt: clock.wallTime() + 3_600_000 });
    await connect(queueOf({ store }));
    assert.deepEqual([keys(), unknown.map(({ body }) => body.key)], [[], ['a']]);
  });

  it('marks a message as sent in its store before it is sent, and removes it when it is confirmed', async () => {
    const store = new MemoryOutbox();
    const queue = queueOf({ store });
    const receipt = queue.add(item('a'));
    await clock.settle();
    assert.equal(store.items.get('a')?.sentAt, undefined);
    await connect(queue);
    assert.deepEqual(keys(), ['a']);
    assert.equal(store.items.get('a')?.sentAt, clock.wallTime());
    sent[0]!.answer(1);
    await receipt;
    await clock.settle();
    assert.equal(store.items.size, 0);
  });

  it('sends first what an earlier page has left, and returns what is too old as unknown', async () => {
    const store = new MemoryOutbox();
    const queue = queueOf({ store });
    await store.put({ ...item('old'), sentAt: clock.wallTime() - 60_001 });
    await store.put({ ...item('sent'), sentAt: clock.wallTime() - 1000 });
    await store.put(item('waiting'));
    void queue.add(item('new'));
    await connect(queue);
    sent[0]!.answer(1);
    sent[1]!.answer(1);
    await clock.settle();
    assert.deepEqual(keys(), ['sent', 'waiting', 'new']);
    assert.deepEqual(
      unknown.map(({ body }) => body.key),
      ['old'],
    );
    assert.deepEqual([...store.items.keys()], ['new']);
  });

  it('keeps what is not confirmed in its store when it is closed', async () => {
    const store = new MemoryOutbox();
    const queue = queueOf({ store });
    const closed = assert.rejects(queue.add(item('a')), { code: 'closed' });
    await connect(queue);
    queue.close();
    await closed;
    assert.deepEqual([...store.items.keys()], ['a']);
    await assert.rejects(queue.add(item('b')), { code: 'closed' });
  });

  it('does nothing with its store when a connection comes after it was closed', async () => {
    const store = new MemoryOutbox();
    await store.put(item('a'));
    const calls: string[] = [];
    const load = store.load;
    const queue = queueOf({
      store: Object.assign(store, {
        load: () => (calls.push('load'), load()),
        watch: () => (calls.push('watch'), () => {}),
      }),
    });
    queue.close();
    await connect(queue);
    assert.deepEqual([calls, keys(), [...store.items.keys()]], [[], [], ['a']]);
  });

  it('does not send what another page has sent and has confirmed, nor anything twice beyond the window', async () => {
    const store = new MemoryOutbox();
    const queue = queueOf({ store });
    const confirmed = assert.rejects(queue.add(item('a')), { code: 'unknown', message: /another page/ });
    const sentLongAgo = assert.rejects(queue.add(item('b')), { code: 'unknown' });
    await clock.settle();
    // This page was stopped by the browser; another one has sent both, and has the answer of one.
    await store.remove('a');
    await store.sending('b', clock.wallTime());
    await clock.advance(60_001);
    await connect(queue);
    await confirmed;
    await sentLongAgo;
    assert.deepEqual(keys(), []);
  });

  it('sends what another page leaves while this one is open', async () => {
    const store = new MemoryOutbox();
    let left: (() => void) | undefined;
    const queue = queueOf({
      store: Object.assign(store, { watch: (onLeft: () => void) => ((left = onLeft), () => {}) }),
    });
    await connect(queue);
    await store.put(item('a'));
    left!();
    await clock.settle();
    assert.deepEqual(keys(), ['a']);
  });

  it('sends what its store has refused', async () => {
    const store = new MemoryOutbox();
    store.put = () => Promise.reject(new Error('the quota is exceeded'));
    const failures: string[] = [];
    const queue = queueOf({ store, onError: ({ code }) => failures.push(code) });
    void queue.add(item('a'));
    await connect(queue);
    assert.deepEqual([keys(), failures], [['a'], ['store_failed']]);
  });

  it('leaves no message to later pages of which its store could not note that it is sent', async () => {
    const store = new MemoryOutbox();
    store.sending = () => Promise.reject(new Error('the quota is exceeded'));
    const queue = queueOf({ store, onError: () => {} });
    void queue.add(item('a')).catch(() => {});
    await connect(queue);
    assert.deepEqual([keys(), [...store.items.keys()]], [['a'], []]);
    queue.close();
  });

  it('leaves one to them that was closed before its store could note that it is sent', async () => {
    const store = new MemoryOutbox();
    let fail!: (error: Error) => void;
    store.sending = () => new Promise((_, reject) => (fail = reject));
    const queue = queueOf({ store, onError: () => {} });
    const closed = assert.rejects(queue.add(item('a')), { code: 'closed' });
    await connect(queue);
    queue.close();
    fail(new Error('the page is closed'));
    await closed;
    await clock.settle();
    assert.deepEqual([keys(), [...store.items.keys()]], [[], ['a']]);
  });

  it('waits five seconds for a store that does not answer, and looks again later for what was left', async () => {
    const store = new MemoryOutbox();
    await store.put(item('left'));
    const { load, put, sending } = store;
    const work: (() => void)[] = [];
    /** The browser does nothing before another page lets go of the database. */
    const blocked =
      <Given extends unknown[], Value>(run: (...given: Given) => Promise<Value>) =>
      (...given: Given) =>
        new Promise<Value>((resolve) => work.push(() => void run(...given).then(resolve)));
    Object.assign(store, { load: blocked(load), put: blocked(put), sending: blocked(sending) });
    const failures: string[] = [];
    const queue = queueOf({ store, onError: ({ code }) => failures.push(code) });
    void queue.add(item('a'));
    await connect(queue);
    await clock.advance(4999);
    assert.deepEqual([keys(), failures], [[], []]);
    await clock.advance(1);
    assert.deepEqual([keys(), failures], [['a'], ['store_failed', 'store_failed']]);
    Object.assign(store, { load, put, sending });
    for (const run of work) run();
    await clock.settle();
    assert.deepEqual([...store.items.keys()], ['left', 'a']);
    sent[0]!.answer(1);
    await clock.settle();
    assert.deepEqual([...store.items.keys()], ['left']);
    await disconnect();
    await connect(queue);
    assert.deepEqual(keys(), ['left']);
  });

  it('reports a store that is full once, and again when it was not meanwhile', async () => {
    const store = new MemoryOutbox();
    const { put } = store;
    const full = () => Promise.reject(new Error('the quota is exceeded'));
    const failures: string[] = [];
    const queue = queueOf({ store, onError: ({ code }) => failures.push(code) });
    await connect(queue);
    for (const write of [full, full, full, put, full, full]) {
      store.put = write;
      void queue.add(item(`${sent.length}`));
      await clock.settle();
      sent.at(-1)!.answer(1);
      await clock.settle();
    }
    assert.deepEqual([sent.length, failures], [6, ['store_failed', 'store_failed']]);
  });

  it('goes on with a store that throws, or gives no promises', async () => {
    const items = new Map<string, OutgoingItem>();
    const refuse = () => {
      throw new Error('away');
    };
    const failures: string[] = [];
    const odd: Record<keyof OutgoingStore, unknown> = {
      load: () => [...items.values()],
      put: (one: OutgoingItem) => void items.set(one.body.key, one),
      sending: (key: string, at: number) => (items.has(key) ? at : undefined),
      remove: (key: string) => void items.delete(key),
      watch: undefined,
    };
    for (const store of [
      odd,
      { ...odd, put: refuse },
      { ...odd, remove: refuse },
      { ...odd, load: refuse },
    ]) {
      sent = [];
      const queue = queueOf({ store: store as OutgoingStore, onError: ({ code }) => failures.push(code) });
      await connect(queue);
      const receipts = Promise.all(['a', 'b'].map((key) => queue.add(item(key))));
      for (let n = 0; n < 2; n++) {
        await clock.settle();
        sent[n]!.answer(n);
      }
      assert.deepEqual(await receipts, [0, 1]);
    }
    assert.deepEqual(failures, ['store_failed', 'store_failed', 'store_failed']);
  });

  it('refuses a second message with a key that waits, and more messages than it holds', async () => {
    const queue = queueOf({ max: 1 });
    void queue.add(item('a'));
    await assert.rejects(queue.add(item('a')), { code: 'conflict', field: 'key' });
    await assert.rejects(queue.add(item('b')), { code: 'queue_full', limit: 1 });
  });
});
