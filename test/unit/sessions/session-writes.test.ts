import assert from 'node:assert/strict';
import { silentLog } from '../../../server/logging/log.js';
import type { Connection } from '../../../server/protocol/connection.js';
import { LiveSession } from '../../../server/sessions/live-session.js';
import type { SessionStore } from '../../../server/sessions/session-store.js';
import { SessionWrites } from '../../../server/sessions/session-writes.js';

const connection = { id: 'c', sessionId: 's', identity: { userId: 'ann' } } as Connection;

function leftSession(): LiveSession {
  const live = new LiveSession(connection, 's', { generation: 1, owner: 'c@a' }, 1, new Map());
  live.isLeft = true;
  return live;
}

function writesTo(save: SessionStore['save'], sessions: readonly LiveSession[] = []): SessionWrites {
  return new SessionWrites(
    {
      store: { save, get: async () => undefined, forget: async () => {} },
      log: silentLog,
      now: () => 0,
      live: () => sessions,
      inboxOf: () => undefined,
      handedTo: () => new Map(),
    },
    { ttlMs: 60_000 },
  );
}

describe('[SESSION] the writes of sessions', () => {
  it('give up the session of a client that has left when another connection has claimed it meanwhile', async () => {
    const live = leftSession();
    const writes = writesTo(() => Promise.reject(new Error('no memory')));
    let isGivenUp = false;
    const left = writes.left(live).then(() => (isGivenUp = true));
    await writes.write(live);
    assert.equal(isGivenUp, false, 'it is written again later');
    // As `SessionHolders` does it for the new connection.
    live.answersSinceLost = 0;
    await writes.save();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isGivenUp, true);
    await left;
    await writes.close();
  });

  it('of one session never overlap: one that follows the release has its lease, and is not overtaken', async () => {
    const live = new LiveSession(connection, 's', { generation: 1, owner: 'c@a' }, 1, new Map());
    const answers: ((isWritten: boolean) => void)[] = [];
    const saved: { topics: string[]; owner: string | null | undefined; by: string | null }[] = [];
    const writes = writesTo(
      (session, by) => {
        saved.push({ topics: Object.keys(session.topics), owner: session.owner, by: by.owner });
        return new Promise((resolve) => answers.push(resolve));
      },
      [live],
    );
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const releasing = writes.releaseAll();
    // Commands are still answered meanwhile.
    live.subscribed('a', undefined, { epoch: 'e', sequence: 1 });
    const stored = writes.write(live);
    live.subscribed('b', undefined, { epoch: 'e', sequence: 1 });
    const storedToo = writes.write(live);
    await turn();
    assert.deepEqual(saved, [{ topics: [], owner: null, by: 'c@a' }]);
    answers[0]!(true);
    await releasing;
    await turn();
    assert.deepEqual(saved.slice(1), [{ topics: ['a', 'b'], owner: null, by: null }]);
    answers[1]!(true);
    assert.deepEqual(await Promise.all([stored, storedToo]), [true, true]);
    await writes.close();
  });

  it('are not all repeated with each client that leaves while the store refuses them', async () => {
    const clients = 50;
    let saves = 0;
    const writes = writesTo(() => {
      saves++;
      return Promise.reject(new Error('unavailable'));
    });
    for (let n = 0; n < clients; n++) {
      void writes.left(leftSession());
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(saves, clients);
    await writes.close();
  });
});
