import assert from 'node:assert/strict';
import { Backoff } from '../../../client/backoff.js';
import { orderAfter } from '../../../client/indexed-db-store.js';
import { checkSize, sizeOf } from '../../../client/message-size.js';
import { ConnectionMonitor } from '../../../client/monitor.js';
import type { ClientState } from '../../../client/client-state.js';
import { savedState, type StateStore } from '../../../client/state.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[CLIENT] the back-off', () => {
  const options = { baseDelayMs: 100, factor: 2, maxDelayMs: 500, maxAttempts: 5 };

  it('chooses a moment in a window that doubles up to its maximum, and ends after the last attempt', () => {
    const latest = new Backoff(options, () => 1);
    assert.deepEqual(
      Array.from({ length: 6 }, () => latest.nextDelayMs()),
      [100, 200, 400, 500, 500, undefined],
    );
    const earliest = new Backoff(options, () => 0);
    assert.equal(earliest.nextDelayMs(), 0);
  });

  it('keeps to the delay and the window that the service names', () => {
    const backoff = new Backoff(options, () => 0.5);
    assert.equal(backoff.nextDelayMs(3000), 3050);
    assert.equal(backoff.nextDelayMs(0, 10_000), 5000);
    // A timer cannot be longer: it would fire at once.
    assert.equal(backoff.nextDelayMs(1e12), 2_147_483_647);
  });

  it('begins anew after a reset', () => {
    const backoff = new Backoff(options, () => 1);
    backoff.nextDelayMs();
    backoff.nextDelayMs();
    backoff.reset();
    assert.deepEqual([backoff.attempt, backoff.nextDelayMs()], [0, 100]);
  });
});

describe('[CLIENT] the size of a payload', () => {
  it('counts bytes of UTF-8, and binary parts', () => {
    assert.equal(sizeOf('é'), 4);
    assert.equal(sizeOf({ a: 1 }), 7);
    assert.equal(sizeOf({ data: new Uint8Array(100) }), 110);
    assert.equal(sizeOf({ data: Buffer.alloc(100) }), 110);
    assert.equal(sizeOf(undefined), 0);
  });

  it('is refused above the limit, with limit and size', () => {
    assert.throws(() => checkSize('123456789', 10), { code: 'message_too_large', limit: 10, size: 11 });
    checkSize('12345678', 10);
  });
});

/** What a client tells its monitor. */
class FakeConnection {
  private readonly listeners = new Map<string, (event: never) => unknown>();
  on(name: string, listener: (event: never) => unknown): () => void {
    this.listeners.set(name, listener);
    return () => this.listeners.delete(name);
  }
  emit(name: string, event?: unknown): void {
    this.listeners.get(name)?.(event as never);
  }
}

describe('[CLIENT] the monitor', () => {
  it('counts the disconnects of five minutes, with how long the connections had lasted', async () => {
    const clock = new FakeClock();
    const client = new FakeConnection();
    const monitor = new ConnectionMonitor(client, clock);
    for (const [durationMs, reason] of [
      [400_000, 'transport close'],
      [1000, 'ping timeout'],
    ] as const) {
      client.emit('connect');
      await clock.advance(durationMs);
      client.emit('disconnect', reason);
    }
    // A failed attempt is no disconnect.
    client.emit('disconnect', 'connect timeout');
    assert.deepEqual(monitor.report().disconnects, {
      count: 2,
      averageDurationMs: 200_500,
      reasons: ['transport close', 'ping timeout'],
    });
    await clock.advance(299_500);
    assert.deepEqual(monitor.report().disconnects.reasons, ['ping timeout']);
    await clock.advance(1000);
    assert.deepEqual(monitor.report().disconnects, { count: 0, averageDurationMs: undefined, reasons: [] });
  });

  it('has quantiles of the latency', () => {
    const client = new FakeConnection();
    const monitor = new ConnectionMonitor(client, new FakeClock());
    assert.equal(monitor.report().latencyMs.p50, undefined);
    for (let ms = 1; ms <= 100; ms++) client.emit('pong', ms);
    assert.deepEqual(monitor.report().latencyMs, { last: 100, p50: 51, p95: 96, p99: 100 });
  });
});

describe('[CLIENT] the saved state', () => {
  const position = { epoch: 'e', sequence: 7 };
  let clock: FakeClock;
  let values: Map<string, string>;
  let failures: string[];

  beforeEach(() => {
    clock = new FakeClock();
    values = new Map();
    failures = [];
  });

  const stateOf = (store: Partial<StateStore> = {}) =>
    savedState({
      store: {
        getItem: (key) => values.get(key),
        setItem: (key, value) => void values.set(key, value),
        removeItem: (key) => values.delete(key),
        ...store,
      },
    })({ clock, topics: () => ['news'], onError: ({ code }) => failures.push(code) });

  function keep(state: ClientState, at: typeof position): void {
    state.content.positions['news'] = at;
    state.save();
  }

  function saved(): ClientState {
    const state = stateOf();
    void state.load();
    state.content.session_id = 's1';
    keep(state, position);
    return state;
  }

  it('is read by the next page, for five minutes', async () => {
    saved();
    await clock.advance(300_000);
    const next = stateOf();
    void next.load();
    const { positions, session_id: session, topics } = next.content;
    assert.deepEqual([positions['news'], session, topics], [position, 's1', ['news']]);
    await clock.advance(1);
    const late = stateOf();
    void late.load();
    assert.deepEqual([late.content.positions['news'], late.content.session_id], [undefined, undefined]);
    assert.equal(values.size, 0);
  });

  it('is not valid when it comes from the future, because the clock was set back', () => {
    saved();
    clock = new FakeClock(5000, 1_600_000_000_000);
    const next = stateOf();
    void next.load();
    assert.equal(next.content.positions['news'], undefined);
  });

  it('is not used when what it has of a position is damaged', () => {
    const timestamp = clock.wallTime();
    for (const at of [null, 7, 'e', {}, { epoch: 'e' }, { epoch: 'e', sequence: 'last' }]) {
      values.set('rtc_state', JSON.stringify({ positions: { news: at }, session_id: 's1', timestamp }));
      const state = stateOf();
      void state.load();
      assert.deepEqual([state.content.positions['news'], state.content.session_id], [undefined, undefined]);
      assert.equal(values.size, 0);
    }
    assert.deepEqual(failures, []);
  });

  it('is not needed: what cannot be read or written is reported, and the client goes on', async () => {
    values.set('rtc_state', '{"positions":');
    const state = stateOf({
      setItem: () => {
        throw new Error('the quota is exceeded');
      },
    });
    void state.load();
    keep(state, position);
    assert.deepEqual(failures, ['store_failed', 'store_failed']);
    assert.deepEqual(state.content.positions['news'], position);
    await stateOf({ getItem: () => Promise.reject(new Error('away')) }).load();
    assert.equal(failures.length, 3);
  });

  it('is reported once when its store is full, and again when it was not meanwhile', async () => {
    for (const refuse of [
      () => {
        throw new Error('the quota is exceeded');
      },
      () => Promise.reject(new Error('the quota is exceeded')),
    ]) {
      failures = [];
      let isFull = true;
      const state = stateOf({ setItem: () => (isFull ? refuse() : undefined) });
      void state.load();
      const save = async (sequence: number) => {
        keep(state, { epoch: 'e', sequence });
        await clock.settle();
      };
      for (let sequence = 1; sequence <= 3; sequence++) await save(sequence);
      assert.equal(failures.length, 1);
      isFull = false;
      await save(4);
      isFull = true;
      await save(5);
      assert.equal(failures.length, 2);
    }
  });

  it('is kept by a store whose promises are of another library, and reports what that cannot remove', async () => {
    const like = <Value>(promise: Promise<Value>): PromiseLike<Value> => ({
      then: (resolve, reject) => promise.then(resolve, reject),
    });
    const content = { positions: { news: position }, timestamp: clock.wallTime() };
    const writes: string[] = [];
    const state = stateOf({
      getItem: () => like(Promise.resolve(JSON.stringify(content))),
      setItem: (_, value) => (writes.push(value), like(new Promise(() => {}))),
    });
    await state.load();
    assert.deepEqual([state.content.positions['news'], failures], [position, []]);
    for (let sequence = 8; sequence <= 10; sequence++) keep(state, { epoch: 'e', sequence });
    assert.equal(writes.length, 1);
    const old = stateOf({
      getItem: () => JSON.stringify({ ...content, timestamp: 0 }),
      removeItem: () => Promise.reject(new Error('away')),
    });
    void old.load();
    await clock.settle();
    assert.deepEqual(failures, ['store_failed']);
  });

  it('is written once at a time to a slow store, and the newest state is written last', async () => {
    const writes: ((value: void) => void)[] = [];
    const state = stateOf({
      setItem: (key, value) =>
        new Promise<void>((resolve) => writes.push(resolve)).then(() => void values.set(key, value)),
    });
    void state.load();
    for (let sequence = 1; sequence <= 5; sequence++) keep(state, { epoch: 'e', sequence });
    assert.equal(writes.length, 1);
    writes[0]!();
    await clock.settle();
    assert.equal(writes.length, 2);
    writes[1]!();
    await clock.settle();
    assert.equal(writes.length, 2);
    assert.match(values.get('rtc_state')!, /"sequence":5/);
  });
});

describe('[CLIENT] the order of what a page keeps in IndexedDB', () => {
  it('is that of its messages, however many come in a millisecond, and when the clock goes back', () => {
    const now = Date.UTC(2026, 10, 26);
    const times = [...Array.from({ length: 2500 }, () => now), now - 60_000, now + 1, now + 2];
    const orders: number[] = [];
    for (const time of times) orders.push(orderAfter(orders.at(-1) ?? 0, time));
    assert.ok(orders.every((order, n) => Number.isSafeInteger(order) && (n === 0 || order > orders[n - 1]!)));
    assert.ok(orderAfter(0, now + 60_000) > orders.at(-1)!, 'a later page goes on behind them');
  });
});
