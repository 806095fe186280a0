import assert from 'node:assert/strict';
import type { Position } from '../../../shared/position.js';
import type { ProvedPosition } from '../../../server/topics/start-position.js';
import { LiveSession } from '../../../server/sessions/live-session.js';
import type { Connection } from '../../../server/protocol/connection.js';

const at = (sequence: number, epoch = 'e'): Position => ({ epoch, sequence });
const sessionOf = (topics: Record<string, ProvedPosition | undefined> = {}) =>
  new LiveSession(
    { id: 'c' } as Connection,
    's',
    { generation: 1, owner: 'c@a' },
    0,
    new Map(Object.entries(topics)),
  );
const stored = (session: LiveSession, handed = new Map<string, Position>()) =>
  Object.fromEntries(session.topics(handed));
const handed = (positions: Record<string, Position>) => new Map(Object.entries(positions));

describe('[SESSION] a live session', () => {
  it('keeps topics that are not subscribed yet, whatever the connection has subscribed by now', () => {
    const session = sessionOf({ a: at(3), b: at(5), token: undefined });
    assert.deepEqual(stored(session), { a: at(3), b: at(5) });
    session.subscribed('a', at(3), at(9));
    session.heartbeat(handed({ a: at(9) }));
    session.heartbeat(handed({ a: at(9) }));
    assert.deepEqual(stored(session), { a: at(9), b: at(5) });
    assert.deepEqual(
      [session.awaited('a'), session.awaited('b'), session.awaited('token')],
      [undefined, { since: at(5) }, { since: undefined }],
    );
  });

  it('drops an awaited topic only on request', () => {
    const session = sessionOf({ a: at(3), b: at(5) });
    assert.deepEqual([session.drop('a'), session.drop('a'), session.holds('a')], [true, false, false]);
    assert.deepEqual(stored(session), { b: at(5) });
  });

  it('has no topic that was only prepared when its connection leaves: nobody was told of it', () => {
    const session = sessionOf({ a: at(3) });
    assert.equal(session.prepare('b', undefined), true);
    assert.deepEqual(Object.keys(stored(session)).sort(), ['a', 'b']);
    session.left(new Map());
    assert.deepEqual([stored(session), session.changed], [{ a: at(3) }, true]);
  });

  it('does not keep its connection in memory when that has left', () => {
    const session = sessionOf({ a: at(3) });
    const { connection } = session;
    session.left(new Map());
    assert.notEqual(session.connection, connection);
    assert.deepEqual([session.connection.id, session.connection.isClosed], ['c', true]);
  });

  it('is written before a topic is restored that its stored state does not have', () => {
    const fresh = sessionOf({ given: at(3), token: undefined });
    assert.deepEqual([fresh.prepare('given', at(3)), fresh.prepare('token', undefined)], [false, false]);
    const resumed = sessionOf({ own: at(3), token: undefined });
    resumed.isStored = true;
    assert.equal(resumed.prepare('own', at(3)), false);
    assert.equal(resumed.prepare('token', undefined), true);
    assert.deepEqual(Object.keys(stored(resumed)), ['own', 'token']);
    resumed.subscribed('token', undefined, at(7));
    assert.deepEqual(stored(resumed), { own: at(3), token: at(7) });
  });

  it('loses a subscribed topic that is dropped, also what a heartbeat would have confirmed of it', () => {
    const session = sessionOf({ a: at(3) });
    session.subscribed('a', at(3), at(9));
    session.subscribed('b', undefined, at(1));
    session.heartbeat(handed({ a: at(9), b: at(2) }));
    assert.equal(session.drop('a'), false, 'it was not awaited');
    session.heartbeat(handed({ b: at(2) }));
    assert.deepEqual(stored(session), { b: at(2) });
  });

  it('keeps the position of a restored topic until the second answered heartbeat', () => {
    const session = sessionOf({ a: at(3), slow: at(0) });
    session.subscribed('a', at(3), at(9));
    // Everything was passed to the transport before the last topic was subscribed.
    session.subscribed('slow', at(0), at(4));
    assert.deepEqual(stored(session), { a: at(3), slow: at(0) });
    session.heartbeat(handed({ a: at(9), slow: at(4) }));
    assert.deepEqual(
      stored(session),
      { a: at(3), slow: at(0) },
      'the ping may have been sent before the messages',
    );
    session.heartbeat(handed({ a: at(12), slow: at(4) }));
    assert.deepEqual(stored(session), { a: at(9), slow: at(4) });
  });

  it('keeps a position that could not be recovered until the client has received the gap', () => {
    const session = sessionOf({ a: at(3, 'lost') });
    session.subscribed('a', at(3, 'lost'), at(1));
    assert.deepEqual(stored(session), { a: at(3, 'lost') });
    session.heartbeat(handed({ a: at(1) }));
    session.heartbeat(handed({ a: at(2) }));
    assert.deepEqual(stored(session), { a: at(1) });
  });

  it('starts a new topic at its current position, or at the position from the client', () => {
    const session = sessionOf();
    session.subscribed('new', undefined, at(7));
    session.subscribed('given', at(2), at(7));
    assert.deepEqual(stored(session), { new: at(7), given: at(2) });
    session.subscribed('new', undefined, at(9));
    assert.deepEqual(stored(session).new, at(7), 'a second subscription confirms nothing');
  });

  it('does not take a heartbeat as confirmation of what was subscribed since the last one', () => {
    const session = sessionOf();
    session.subscribed('a', undefined, at(0));
    session.heartbeat(handed({ a: at(9) }));
    session.subscribed('a', at(4), at(9));
    session.heartbeat(handed({ a: at(6) }));
    assert.deepEqual(stored(session), { a: at(4) });
    session.drop('a');
    session.subscribed('a', undefined, at(20));
    session.heartbeat(handed({ a: at(20) }));
    assert.deepEqual(stored(session), { a: at(20) });
  });

  it('says up to where its client may have received messages, until that is confirmed or was never sent', () => {
    const session = sessionOf();
    session.subscribed('a', undefined, at(3));
    assert.deepEqual(stored(session, handed({ a: at(3) })), { a: at(3) });
    assert.deepEqual(stored(session, handed({ a: at(7) })), { a: { ...at(3), reached: at(7) } });
    session.heartbeat(handed({ a: at(7) }));
    session.heartbeat(handed({ a: at(9) }));
    assert.deepEqual(stored(session, handed({ a: at(9) })), { a: { ...at(7), reached: at(9) } });
  });

  it('remembers what an earlier connection had reached, until its client has confirmed something', () => {
    const session = sessionOf({ a: { ...at(3), reached: at(9) } });
    session.subscribed('a', { ...at(3), reached: at(9) }, at(4, 'f'));
    assert.deepEqual(stored(session, handed({ a: at(4, 'f') })), { a: { ...at(3), reached: at(9) } });
    session.heartbeat(handed({ a: at(4, 'f') }));
    session.heartbeat(handed({ a: at(4, 'f') }));
    assert.deepEqual(stored(session, handed({ a: at(4, 'f') })), { a: at(4, 'f') });
  });

  it('forgets what was reached also when the client confirms the same position again', () => {
    const session = sessionOf({ a: { ...at(3), reached: at(9) } });
    session.subscribed('a', { ...at(3), reached: at(9) }, at(3));
    session.heartbeat(handed({ a: at(3) }));
    session.heartbeat(handed({ a: at(3) }));
    assert.deepEqual(stored(session, handed({ a: at(3) })), { a: at(3) });
  });
});
