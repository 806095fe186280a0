import assert from 'node:assert/strict';
import type { Position } from '../../../shared/position.js';
import { MemorySessionStore } from '../../../server/storage/memory/memory-session-store.js';
import { SessionService } from '../../../server/sessions/session-service.js';
import type { StoredSession } from '../../../server/sessions/session-store.js';
import type { Log } from '../../../server/logging/log.js';
import type { Topics } from '../../../server/topics/topics.js';
import type { Connection } from '../../../server/protocol/connection.js';
import { until } from '../../support/wait.js';

const at = (sequence: number): Position => ({ epoch: 'e', sequence });
const connection = { id: 'c', sessionId: 's', identity: { userId: 'ann' } } as Connection;

/** A store whose writes complete when the test says so. */
class SlowStore extends MemorySessionStore {
  private readonly waiting: (() => void)[] = [];
  isSlow = false;

  /** Whether the client was connected, of each write. */
  readonly writes: boolean[] = [];

  override async put(session: StoredSession, isConnected = false): Promise<void> {
    this.writes.push(isConnected);
    if (this.isSlow) await new Promise<void>((resolve) => this.waiting.push(resolve));
    await super.put(session, isConnected);
  }

  letThrough(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

describe('[SESSION] the session service', () => {
  let store: SlowStore;
  let sessions: SessionService;
  let handed: Map<string, Position>;
  const stored = async () => (await store.get('s'))?.topics;

  beforeEach(() => {
    handed = new Map();
    store = new SlowStore({ now: Date.now }, { ttlMs: 60_000 });
    sessions = new SessionService({
      store,
      topics: { positions: () => new Map(handed) } as unknown as Topics,
      log: { debug: () => {} } as unknown as Log,
      now: Date.now,
    });
  });
  afterEach(() => sessions.close());

  it('stores what was subscribed after all were saved for a stop, and waits for writes in progress', async () => {
    sessions.connected(connection, 1, new Map([['one', at(1)]]));
    await sessions.saveAll();
    assert.deepEqual(await stored(), { one: at(1) });
    sessions.subscribed(connection, 'two', undefined, at(2));
    store.isSlow = true;
    sessions.left(connection);
    let closed = false;
    const closing = sessions.close().then(() => (closed = true));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(closed, false);
    store.letThrough();
    await closing;
    assert.deepEqual(await stored(), { one: at(1), two: at(2) });
  });

  it('does not take the close of a connection as confirmation', async () => {
    sessions.connected(connection, 1, new Map([['a', at(1)]]));
    sessions.subscribed(connection, 'a', at(1), at(5));
    handed.set('a', at(5));
    sessions.onHeartbeat(connection);
    sessions.left(connection);
    await sessions.close();
    assert.deepEqual(await stored(), { a: at(1) });
  });

  it('has no data of a connection that has left', async () => {
    sessions.connected(connection, 1, new Map([['a', at(1)]]));
    sessions.left(connection);
    sessions.subscribed(connection, 'a', at(1), at(5));
    assert.deepEqual(
      [sessions.awaited(connection, 'a'), sessions.holds(connection, 'a'), sessions.drop(connection, 'a')],
      [undefined, false, false],
    );
    await sessions.close();
    assert.deepEqual(await stored(), { a: at(1) });
  });

  it('writes a session once more when its connection closes, as one that may be dropped', async () => {
    sessions.connected(connection, 1, new Map([['a', at(1)]]));
    await until(() => store.writes.length === 1, 'it is written');
    // Nothing has changed since, and yet it is not the session of a connected client any more.
    sessions.left(connection);
    await sessions.close();
    assert.deepEqual(store.writes, [true, false]);
  });

  it('writes a session once if the replica stops', async () => {
    sessions.connected(connection, 1, new Map([['a', at(1)]]));
    await sessions.saveAll();
    sessions.left(connection);
    await sessions.close();
    assert.deepEqual(store.writes, [false]);
  });
});
