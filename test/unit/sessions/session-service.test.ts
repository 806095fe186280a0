import assert from 'node:assert/strict';
import { mock } from 'node:test';
import type { Position } from '../../../shared/position.js';
import { MemorySessionStore } from '../../../server/storage/memory/memory-session-store.js';
import { SessionService } from '../../../server/sessions/session-service.js';
import type { OpenedSession } from '../../../server/sessions/opened-session.js';
import type { SessionLease } from '../../../server/sessions/session-lease.js';
import type { StoredSession } from '../../../server/sessions/session-store.js';
import { silentLog } from '../../../server/logging/log.js';
import type { Connection } from '../../../server/protocol/connection.js';
import { until } from '../../support/wait.js';

const at = (sequence: number): Position => ({ epoch: 'e', sequence });
const opened: OpenedSession = {
  id: 's',
  lease: { generation: 1, owner: 'c@a' },
  resumed: true,
  topics: new Map(),
  positions: new Map(),
  createdAt: 1,
};
const storedSession: StoredSession = {
  ...{ id: 's', user_id: 'ann', topics: {}, created_at: 1, updated_at: 1 },
  ...opened.lease,
};
const connection = { id: 'c', sessionId: 's', identity: { userId: 'ann' } } as Connection;

/** A store whose writes complete when the test says so. */
class SlowStore extends MemorySessionStore {
  private readonly waiting: (() => void)[] = [];
  isSlow = false;
  isRefusing = false;

  /** Whether the client was connected, of each write. */
  readonly writes: boolean[] = [];

  override async save(session: StoredSession, by: SessionLease): Promise<boolean> {
    this.writes.push(session.owner !== null);
    if (this.isRefusing) throw new Error('refused');
    if (this.isSlow) await new Promise<void>((resolve) => this.waiting.push(resolve));
    return super.save(session, by);
  }

  letThrough(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

describe('[SESSION] the session service', () => {
  let store: SlowStore;
  let sessions: SessionService;
  let handed: Map<string, Position>;
  let inbox: Position | undefined;
  const stored = async () => (await store.get('s'))?.topics;

  beforeEach(() => {
    handed = new Map();
    inbox = undefined;
    store = new SlowStore({ now: () => performance.now() }, { ttlMs: 60_000 });
    sessions = new SessionService(
      {
        store,
        topics: { positions: () => new Map(handed) },
        replicaId: 'a',
        calls: { handle: () => {}, ask: async () => ({}), replicas: async () => ['a'] },
        isAlive: async () => false,
        inboxOf: () => inbox,
        log: silentLog,
        now: Date.now,
      },
      { ttlMs: 60_000 },
    );
  });
  afterEach(() => sessions.close());

  it('stores what was subscribed after all were saved for a stop, and waits for writes in progress', async () => {
    sessions.connected(connection, opened, new Map([['one', at(1)]]));
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
    sessions.connected(connection, opened, new Map([['a', at(1)]]));
    sessions.subscribed(connection, 'a', at(1), at(5));
    handed.set('a', at(5));
    sessions.onHeartbeat(connection);
    sessions.left(connection);
    await sessions.close();
    assert.deepEqual(await stored(), { a: at(1) });
  });

  it('has no data of a connection that has left', async () => {
    sessions.connected(connection, opened, new Map([['a', at(1)]]));
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
    sessions.connected(connection, opened, new Map([['a', at(1)]]));
    await until(() => store.writes.length === 1, 'it is written');
    // Nothing has changed since, and yet it is not the session of a connected client any more.
    sessions.left(connection);
    await sessions.close();
    assert.deepEqual(store.writes, [true, false]);
  });

  it('writes a session soon when its client is confirmed to be in another epoch', async () => {
    sessions.connected(connection, opened, new Map());
    sessions.subscribed(connection, 'a', undefined, at(1));
    await until(() => store.writes.length > 0, 'it is written');
    handed.set('a', { epoch: 'after a loss', sequence: 1 });
    // Two answers: the first ping may have been sent before the notice of the loss.
    for (let answers = 0; answers < 2; answers++) sessions.onHeartbeat(connection);
    await until(async () => (await stored())?.['a']?.epoch === 'after a loss', 'it is written');
  });

  it('has the topics of a resumed session in the store before they are restored, if it had others', async () => {
    await store.save({ ...storedSession, topics: { a: at(1) } }, opened.lease);
    const session = { ...opened, topics: new Map([['a', at(1)]]) };
    sessions.connected(connection, session, new Map([['a', at(1)], ['given', at(2)]])); // prettier-ignore
    await sessions.prepare(connection, 'given', at(2));
    assert.deepEqual(await stored(), { a: at(1), given: at(2) });
    assert.equal(sessions.prepare(connection, 'a', at(1)), undefined, 'that is all');
  });

  it('is not done with a session while a write of it is on its way', async () => {
    sessions.connected(connection, opened, new Map());
    await sessions.stored(connection);
    store.isSlow = true;
    sessions.subscribed(connection, 'a', undefined, at(1));
    const first = sessions.stored(connection);
    await until(() => store.writes.length === 2, 'it is being written');
    const second = sessions.stored(connection);
    assert.notEqual(second, undefined);
    store.isSlow = false;
    store.letThrough();
    await Promise.all([first, second]);
    assert.equal(sessions.stored(connection), undefined);
  });

  it('writes what the store has refused as soon as the store is reachable again', async () => {
    store.isRefusing = true;
    sessions.connected(connection, opened, new Map([['a', at(1)]]));
    await until(() => store.writes.length === 1, 'it is refused');
    store.isRefusing = false;
    // The pause after a refusal never ends by itself.
    const frozenAt = performance.now();
    const clock = mock.method(performance, 'now', () => frozenAt);
    try {
      sessions.rewrite();
      await until(async () => (await stored()) !== undefined, 'it is written');
    } finally {
      clock.mock.restore();
    }
  });

  it('stores where the inbox was when its connection left, also if that cannot be stored at once', async () => {
    sessions.connected(connection, opened, new Map());
    await sessions.stored(connection);
    store.isRefusing = true;
    inbox = at(7);
    sessions.left(connection);
    inbox = undefined;
    await new Promise((resolve) => setImmediate(resolve));
    store.isRefusing = false;
    await sessions.close();
    assert.deepEqual((await store.get('s'))?.inbox, at(7));
  });

  it('has an id of its own once its client changes topics before its session is known, and gets the others then', async () => {
    await store.save({ ...storedSession, topics: { a: at(1), b: at(1) } }, opened.lease);
    const events: unknown[] = [];
    const other = {
      ...connection,
      emit: (_: string, { details }: { details: unknown }) => events.push(details),
    };
    let isAnswered = () => {};
    const claimed = new Promise<OpenedSession | undefined>(
      (resolve) =>
        (isAnswered = () => resolve({ ...opened, topics: new Map([['a', at(1)], ['b', at(1)]]) })), // prettier-ignore
    );
    const live = other as unknown as Connection;
    sessions.connected(live, { ...opened, resumed: false, later: claimed }, new Map());
    sessions.drop(live, 'a');
    await sessions.stored(live);
    const { sessionId } = live;
    assert.deepEqual(events, [{ session_id: sessionId, previous: 's' }]);
    await sessions.prepare(live, 'c', undefined);
    sessions.subscribed(live, 'c', undefined, at(3));
    await sessions.stored(live);
    assert.equal(await store.get(sessionId), undefined, 'a part of the topics is not resumed');
    assert.deepEqual(Object.keys((await stored()) ?? {}), ['a', 'b'], 'nobody may write the other one yet');
    isAnswered();
    const known = (await claimed)!;
    assert.equal(sessions.resumed(live, known, known.topics), true);
    await until(async () => (await stored()) === undefined, 'the former id cannot be resumed any more');
    assert.deepEqual((await store.get(sessionId))?.topics, { b: at(1), c: at(3) });
    assert.equal(events.length, 1);
  });

  it('writes a session once if the replica stops', async () => {
    sessions.connected(connection, opened, new Map([['a', at(1)]]));
    await sessions.saveAll();
    sessions.left(connection);
    await sessions.close();
    assert.deepEqual(store.writes, [false]);
  });
});
