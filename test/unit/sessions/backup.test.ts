import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MemorySessionStore } from '../../../server/storage/memory/memory-session-store.js';
import { BackupError, readBackup } from '../../../server/sessions/backup/backup-reader.js';
import { backupOf, countAtEnd } from '../../../server/sessions/backup/backup-writer.js';
import { SessionRestore, type RestoreSettings } from '../../../server/sessions/backup/session-restore.js';
import type { KeptSession, StoredSession } from '../../../server/sessions/session-store.js';

const session = (n: number, more: Partial<StoredSession> = {}): StoredSession => ({
  id: `s${n}`,
  user_id: `user ${n}`,
  topics: { news: { epoch: 'e1', sequence: n } },
  created_at: 1000,
  updated_at: 2000,
  ...more,
});

const newStore = () => new MemorySessionStore({ now: () => performance.now() }, { ttlMs: 3_600_000 });

async function storeOf(sessions: readonly StoredSession[]): Promise<MemorySessionStore> {
  const store = newStore();
  await store.putMany(sessions, { overwrite: false });
  return store;
}

async function textOf(sessions: readonly StoredSession[]): Promise<string> {
  let text = '';
  for await (const piece of backupOf(await storeOf(sessions), { createdAt: 5, replicaId: 'a' }))
    text += piece;
  return text;
}

/** The bytes of a text in chunks of a size. */
async function* bytes(text: string, size = 65_536): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(text);
  for (let i = 0; i < all.length; i += size) yield all.subarray(i, i + size);
}

async function readAll(source: AsyncIterable<Uint8Array>): Promise<{ sessions: unknown[]; error?: unknown }> {
  const sessions: unknown[] = [];
  try {
    for await (const one of readBackup(source)) sessions.push(one);
    return { sessions };
  } catch (error) {
    return { sessions, error };
  }
}

async function restore(
  text: string,
  settings: Partial<RestoreSettings> = {},
  store = newStore(),
): Promise<{ work: SessionRestore; store: MemorySessionStore; error: unknown }> {
  const work = new SessionRestore(
    { putMany: (sessions, options) => store.putMany(sessions, options) },
    { overwrite: false, ...settings },
  );
  const error = await work.run(bytes(text)).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { work, store, error };
}

const withoutTime = ({ expires_in_secs: _secs, ...rest }: KeptSession): StoredSession => rest;

describe('[BACKUP] the file of a backup', () => {
  it('is one JSON document with one session per line, and their number at its end', async () => {
    const text = await textOf([session(1), session(2)]);
    const { sessions, ...rest } = JSON.parse(text) as { sessions: KeptSession[] };
    assert.deepEqual(rest, {
      format: 'rtc-sessions',
      version: 1,
      created_at: 5,
      replica_id: 'a',
      malformed: 0,
      count: 2,
    });
    assert.deepEqual(sessions.map(withoutTime), [session(1), session(2)]);
    assert.equal(text.trimEnd().split('\n').length, 4);
    assert.equal(countAtEnd(text), 2);
    assert.equal(countAtEnd(text.slice(0, -3)), undefined);
    assert.deepEqual((JSON.parse(await textOf([])) as { sessions: unknown }).sessions, []);
  });

  it('returns the same sessions, wherever the bytes are cut', async () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 });
    const stored = fc.record(
      {
        id: text,
        user_id: text,
        topics: fc.dictionary(
          fc.stringMatching(/^[a-z0-9/:.]{1,20}$/),
          fc.record({ epoch: fc.uuid(), sequence: fc.maxSafeNat() }, { noNullPrototype: true }),
          { noNullPrototype: true },
        ),
        created_at: fc.nat(),
        updated_at: fc.nat(),
      },
      { noNullPrototype: true },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(stored, { selector: ({ id }) => id, maxLength: 20 }),
        fc.integer({ min: 1, max: 200 }),
        async (sessions, size) => {
          const found = await readAll(bytes(await textOf(sessions), size));
          assert.equal(found.error, undefined);
          assert.deepEqual((found.sessions as KeptSession[]).map(withoutTime), sessions);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('is detected as truncated at every byte, and returns the sessions before that', async () => {
    const whole = await textOf([session(1), session(2), session(3)]);
    const ends = [...whole.matchAll(/"expires_in_secs":\d+\}/g)].map(
      ({ index, 0: found }) => index + found.length,
    );
    assert.equal(ends.length, 3);
    for (let length = 0; length < whole.trimEnd().length; length++) {
      const { sessions, error } = await readAll(bytes(whole.slice(0, length)));
      assert.ok(error instanceof BackupError, `cut off after ${length} bytes: ${String(error)}`);
      const before = ends.filter((end) => end <= length).length;
      assert.equal(sessions.length, before, `cut off after ${length} bytes`);
      if (before > 0) assert.match(error.message, new RegExp(`after session ${before} \\(s${before}\\)`));
    }
  });

  it('is refused with the reason if it is something else', async () => {
    const cases: [string, RegExp][] = [
      ['', /empty/],
      ['  \n ', /empty/],
      ['hello', /no JSON object or array/],
      ['"text"', /no JSON object or array/],
      ['{}', /no backup/],
      ['{"sessions":[{"id":"a"}],"count":1}', /"format" is missing/],
      ['{"format":"other","sessions":[]}', /no backup/],
      ['{"format":"rtc-sessions","version":2,"sessions":[],"count":0}', /version 2/],
      ['{"format":"rtc-sessions","version":1,"sessions":[{}],"count":2}', /after session 1.*holds 2/],
      ['{"format":"rtc-sessions","version":1,"sessions":[{}]}', /after session 1/],
      ['[{"id":"a"},', /after session 1 \(a\)/],
      ['[{"id":"a"} {"id":"b"}]', /after session 1 \(a\)/],
      ['[{"id":"a"}] x', /after session 1 \(a\)/],
    ];
    for (const [text, message] of cases) {
      const { error } = await readAll(bytes(text, 7));
      assert.ok(error instanceof BackupError, `${text}: ${String(error)}`);
      assert.match(error.message, message, text);
    }
  });

  it('is read no further than requested', async () => {
    let given = 0;
    let closed = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.from('[');
        for (;;) {
          given++;
          yield Buffer.from(`${JSON.stringify(session(given))},`);
        }
      } finally {
        closed = true;
      }
    }
    let read = 0;
    for await (const _session of readBackup(endless())) if (++read === 1000) break;
    assert.ok(given < 1500, `${given} sessions were read ahead`);
    assert.ok(closed, 'the source is closed');
  });

  it('cannot make the reader store endless data', async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('[{"id":"');
      for (;;) yield Buffer.alloc(65_536, 'x');
    }
    const { error } = await readAll(endless());
    assert.ok(error instanceof BackupError);
  });

  it('is refused before it is parsed if it is nested without end', async () => {
    let given = 0;
    async function* deep(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`[${JSON.stringify(session(1))},{"id":"\\"[[[","x":`);
      for (;;) {
        given++;
        yield Buffer.alloc(65_536, '[');
      }
    }
    const { sessions, error } = await readAll(deep());
    assert.ok(error instanceof BackupError);
    assert.match(error.message, /after session 1 \(s1\)/);
    assert.match((error.cause as Error).message, /deeper than 32/);
    assert.deepEqual([sessions, given], [[session(1)], 1]);
  });

  it('can contain brackets in its texts', async () => {
    const all = [session(1, { user_id: '[{"\\'.repeat(40) }), session(2)];
    for (const size of [1, 7, 65_536]) {
      const { sessions, error } = await readAll(bytes(JSON.stringify(all), size));
      assert.deepEqual([sessions, error], [all, undefined]);
    }
  });

  it('passes on errors of the source', async () => {
    const broken = new Error('the disk is gone');
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('[{"id":"a"},');
      throw broken;
    }
    assert.equal((await readAll(source())).error, broken);
  });
});

describe('[BACKUP] a restore', () => {
  it('writes every session of a backup', async () => {
    const sessions = Array.from({ length: 2500 }, (_, i) => session(i));
    const { work, store, error } = await restore(await textOf(sessions));
    assert.equal(error, undefined);
    assert.deepEqual(work.progress, { handled: 2500, restored: 2500, kept: 0, invalid: 0, errors: [] });
    assert.deepEqual(await store.get('s2499'), session(2499));
  });

  it('accepts a plain array, with topics as positions or as a list of names', async () => {
    const { store, error } = await restore(
      JSON.stringify([session(1), { id: 's2', user_id: 'bob', topics: ['a', 'b'], connection_id: 'old' }]),
    );
    assert.equal(error, undefined);
    assert.deepEqual(await store.get('s1'), session(1));
    assert.deepEqual(await store.get('s2'), {
      id: 's2',
      user_id: 'bob',
      topics: { a: { epoch: 'unknown', sequence: 0 }, b: { epoch: 'unknown', sequence: 0 } },
      created_at: 0,
      updated_at: 0,
    });
  });

  it('reports invalid sessions by index, field and rule, and writes the others', async () => {
    const bad: [unknown, string][] = [
      ['text', ''],
      [null, ''],
      [{ ...session(1), id: undefined }, 'id'],
      [{ ...session(1), id: 'x'.repeat(101) }, 'id'],
      [{ ...session(1), user_id: '' }, 'user_id'],
      [{ ...session(1), topics: 'news' }, 'topics'],
      [{ ...session(1), topics: { 'a b': { epoch: 'e', sequence: 1 } } }, 'topics.a b'],
      [{ ...session(1), topics: { $user: { epoch: 'e', sequence: 1 } } }, 'topics.$user'],
      [{ ...session(1), topics: { news: { epoch: 'e', sequence: -1 } } }, 'topics.news.sequence'],
      [{ ...session(1), topics: { news: { epoch: 'e' } } }, 'topics.news.sequence'],
      [{ ...session(1), topics: ['a', 'b c'] }, 'topics.1'],
      [{ ...session(1), updated_at: 'today' }, 'updated_at'],
    ];
    const { work, store } = await restore(
      JSON.stringify([session(100), ...bad.map(([value]) => value), session(101)]),
    );
    const { restored, invalid, errors } = work.progress;
    assert.deepEqual([restored, invalid], [2, bad.length]);
    assert.deepEqual(
      errors.map(({ index, field }) => [index, field]),
      bad.map(([, field], i) => [i + 1, field]),
    );
    for (const { rule } of errors) assert.ok(rule.length > 5, rule);
    assert.ok(await store.get('s101'));
  });

  it('lists the first invalid ones and counts all', async () => {
    const { work } = await restore(JSON.stringify(Array.from({ length: 3000 }, () => ({}))));
    assert.equal(work.progress.invalid, 3000);
    assert.equal(work.progress.errors.length, 20);
    assert.equal(work.progress.errors.at(-1)!.index, 19);
  });

  it('keeps newer sessions, and overwrites them if requested', async () => {
    const text = await textOf([session(1), session(2)]);
    const newer = session(1, { updated_at: 3000, user_id: 'newer' });
    const first = await restore(text, {}, await storeOf([newer]));
    assert.deepEqual([first.work.progress.restored, first.work.progress.kept], [1, 1]);
    assert.equal((await first.store.get('s1'))?.user_id, 'newer');
    const second = await restore(text, { overwrite: true }, await storeOf([newer]));
    assert.deepEqual([second.work.progress.restored, second.work.progress.kept], [2, 0]);
    assert.deepEqual(await second.store.get('s1'), session(1));
  });

  it('writes the sessions before a damage, and reports it', async () => {
    const text = await textOf(Array.from({ length: 30 }, (_, i) => session(i)));
    const { work, store, error } = await restore(text.slice(0, text.indexOf('"s20"')), { batchSize: 8 });
    assert.ok(error instanceof BackupError);
    assert.match(error.message, /after session 20 \(s19\)/);
    assert.deepEqual([work.progress.restored, await store.count()], [20, 20]);
  });

  it('stops between two batches, and continues from there', async () => {
    const sessions = Array.from({ length: 100 }, (_, i) => session(i));
    const text = await textOf(sessions);
    const written: string[] = [];
    const putMany = async (some: readonly StoredSession[]) => {
      written.push(...some.map(({ id }) => id));
      return { written: some.length, kept: 0 };
    };
    const first = new SessionRestore(
      { putMany, onBatch: ({ handled }) => void (handled >= 30 && first.stop()) },
      { overwrite: false, batchSize: 10 },
    );
    assert.equal(await first.run(bytes(text)), false);
    assert.equal(first.progress.handled, 30);
    const second = new SessionRestore({ putMany }, { overwrite: false, batchSize: 7, from: first.progress });
    assert.equal(await second.run(bytes(text)), true);
    assert.deepEqual(
      written,
      sessions.map(({ id }) => id),
    );
    assert.equal(second.progress.restored, 100);
  });

  it('reports its progress when the store fails', async () => {
    const text = await textOf(Array.from({ length: 100 }, (_, i) => session(i)));
    let calls = 0;
    const work = new SessionRestore(
      {
        putMany: async (some) => {
          if (++calls === 4) throw new Error('away');
          return { written: some.length, kept: 0 };
        },
      },
      { overwrite: false, batchSize: 10 },
    );
    await assert.rejects(work.run(bytes(text)), /away/);
    assert.deepEqual([work.progress.handled, work.progress.restored], [30, 30]);
  });
});
