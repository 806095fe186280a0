import assert from 'node:assert/strict';
import { listPage, listRequest, longListPage, mergePages } from '../../../server/admin/list-page.js';
import { seededRandom } from '../../../bench/seeded-random.js';

interface Entry {
  readonly name: string;
  readonly size: number;
  readonly replicas: readonly string[];
}

const order = {
  keyOf: ({ name }: Entry) => name,
  rank: (one: Entry, other: Entry) => other.size - one.size,
};
const sum = (same: readonly Entry[]): Entry => ({
  name: same[0]!.name,
  size: same.reduce((total, { size }) => total + size, 0),
  replicas: same.flatMap(({ replicas }) => replicas),
});

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

describe(`[A4] lists of the cluster in pages (seed ${seed})`, () => {
  /** What each replica holds: sizes by name. */
  let replicas: Map<string, number>[];

  const askAll = (limit: number, bytes: number, after?: string) => {
    const request = { limit, bytes, ...(after !== undefined && { after }) };
    const answers = replicas.map((held, i) =>
      listPage(
        [...held].map(([name, size]) => ({ name, size, replicas: [`r${i}`] })),
        request,
        order,
        (entry) => entry,
      ),
    );
    return { answers, page: mergePages(answers, request, order, sum) };
  };

  beforeEach(() => {
    replicas = [new Map(), new Map(), new Map()];
  });

  it('add up exactly to the whole while nothing changes, each name once and summed', () => {
    const random = seededRandom(seed);
    for (let round = 0; round < 50; round++) {
      replicas = replicas.map(() => new Map());
      for (let n = random(60); n > 0; n--) replicas[random(3)]!.set(`name-${random(40)}`, random(9));
      const found: Entry[] = [];
      const [limit, bytes] = [1 + random(10), 1 + random(800)];
      for (let after: string | undefined = ''; after !== undefined;) {
        const { page }: ReturnType<typeof askAll> = askAll(limit, bytes, after);
        assert.ok(page.items.length <= limit);
        found.push(...page.items);
        after = page.cursor === null ? undefined : listRequest({ limit, cursor: page.cursor }, bytes).after;
      }
      const names = [...new Set(replicas.flatMap((held) => [...held.keys()]))].sort();
      assert.deepEqual(
        found.map(({ name, size }) => ({ name, size })),
        names.map((name) => ({
          name,
          size: replicas.reduce((total, held) => total + (held.get(name) ?? 0), 0),
        })),
      );
    }
  });

  it('hold everything that stays, once, while other entries come and go', () => {
    const random = seededRandom(seed + 1);
    for (let n = 0; n < 200; n++) replicas[n % 3]!.set(`stays-${n}`, n);
    const found: string[] = [];
    for (let after: string | undefined = ''; after !== undefined;) {
      const { page }: ReturnType<typeof askAll> = askAll(7, 10_000, after);
      found.push(...page.items.map(({ name }) => name));
      after = page.cursor === null ? undefined : listRequest({ limit: 7, cursor: page.cursor }, 10_000).after;
      for (let n = 0; n < 5; n++) {
        const held = replicas[random(3)]!;
        const name = `${'az'[random(2)]}-comes-${random(100)}`;
        if (!held.delete(name)) held.set(name, 1);
      }
    }
    const stayed = found.filter((name) => name.startsWith('stays-'));
    assert.deepEqual(stayed, Array.from({ length: 200 }, (_, n) => `stays-${n}`).sort());
    assert.equal(new Set(found).size, found.length);
  });

  it('begin with the highest ranks without a cursor, and say that there are more', () => {
    for (let n = 0; n < 1000; n++) replicas[0]!.set(`n${n}`, n);
    const { answers, page } = askAll(3, 10_000);
    assert.deepEqual(
      page.items.map(({ size }) => size),
      [999, 998, 997],
    );
    assert.deepEqual([page.truncated, page.cursor, answers[0]!.total], [true, null, 1000]);
    // A replica sends no more than the page.
    assert.equal(answers[0]!.items.length, 3);
  });

  it('are bounded in bytes at each replica, and again where they are merged', () => {
    const names = Array.from({ length: 9 }, (_, n) => `name-${n}`);
    const entries = names.map((name) => ({ name, size: 1, replicas: ['x'.repeat(100)] }));
    const request = { limit: 100, bytes: 500, after: '' };
    const answer = listPage(entries, request, order, (entry) => entry);
    assert.ok(answer.items.length <= 4 && answer.items.length > 1, `${answer.items.length}`);
    assert.equal(answer.more, true);
    const whole = { items: entries, total: entries.length, more: false };
    const merged = mergePages([whole], request, order);
    assert.deepEqual([merged.items.length, merged.truncated], [answer.items.length, true]);
  });

  it('are bounded in bytes, but hold one entry at least', () => {
    replicas[0]!.set('x'.repeat(500), 1).set('y'.repeat(500), 1);
    const { page } = askAll(10, 10, '');
    assert.deepEqual([page.items.length, page.truncated], [1, true]);
  });

  it('lets other work run while it looks at very many items that are not wanted', async () => {
    let otherWork = 0;
    const work = () => void (++otherWork < 1000 && setImmediate(work));
    setImmediate(work);
    const { total } = await longListPage(
      (function* () {
        for (let n = 0; n < 1024; n++) {
          const until = performance.now() + 0.1;
          while (performance.now() < until);
          yield n === 1000 ? 'wanted' : undefined;
        }
        assert.ok(otherWork > 1, `other work ran ${otherWork} times`);
      })(),
      { limit: 10 },
      { keyOf: (item) => item },
      (item) => item,
    );
    assert.equal(total, 1);
  });
});
