import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Registry } from '../../../server/primitives/registry.js';
import { oldBytes, youngObject } from '../../support/old-generation.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

interface Item {
  readonly n: number;
}

describe('a registry', () => {
  it('holds each object once, in the order in which they were added', () => {
    const registry = new Registry<{ name: string }>();
    const [a, b, c] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }] as const;
    for (const item of [a, b, c, a]) registry.add(item);
    assert.deepEqual([registry.size, [...registry]], [3, [a, b, c]]);
    assert.deepEqual([registry.delete(b), registry.delete(b), registry.has(b)], [true, false, false]);
    assert.deepEqual([...registry], [a, c]);
    registry.add(b);
    assert.deepEqual([registry.delete(a), registry.delete(b)], [true, true]);
    assert.deepEqual([registry.size, [...registry]], [1, [c]]);
    assert.equal(registry.delete(c), true);
    assert.deepEqual([registry.size, [...registry]], [0, []]);
    registry.add(a);
    assert.deepEqual([...registry], [a]);
  });

  it('is as a Set after any changes, and is apart from other registries of the same objects', () => {
    const items = Array.from({ length: 12 }, (_, n) => ({ n }));
    const [registry, other] = [new Registry<object>(), new Registry<object>()];
    const set = new Set<object>();
    items.forEach((item) => other.add(item));
    for (let n = 0; n < 2000; n++) {
      const item = items[(n * 7 + Math.floor(n / 5)) % items.length]!;
      if (n % 3 === 0) assert.equal(registry.delete(item), set.delete(item));
      else {
        registry.add(item);
        set.add(item);
      }
      assert.deepEqual([registry.size, [...registry]], [set.size, [...set]]);
    }
    assert.deepEqual([...other], items);
  });

  it(`is as a Set after random changes, also of the present object while all are visited (seed ${seed})`, () => {
    const items = Array.from({ length: 8 }, (_, n) => ({ n }));
    const which = fc.nat(items.length - 1);
    const change = fc.record({ do: fc.constantFrom('add' as const, 'delete' as const), which });
    const visit = fc.record({
      do: fc.constant('visit' as const),
      /** What is done at each visit: the present object goes, goes and comes again, a later one goes, or another comes. */
      each: fc.array(fc.constantFrom('nothing', 'delete', 'move', 'delete later', 'add'), { maxLength: 12 }),
      which,
    });
    const walk = (
      set: Pick<Set<Item>, 'delete'> & Iterable<Item> & { add(item: Item): unknown },
      each: readonly string[],
      other: Item,
    ) => {
      const visited: Item[] = [];
      for (const item of set) {
        // Moved ones are visited again at the end.
        const what = each[visited.length];
        visited.push(item);
        if (what === 'delete' || what === 'move') set.delete(item);
        if (what === 'move') set.add(item);
        if (what === 'add') set.add(other);
        const isLater = [...set].indexOf(other) > [...set].indexOf(item);
        if (what === 'delete later' && isLater) set.delete(other);
      }
      return visited.map(({ n }) => n);
    };
    const steps = fc.array(fc.oneof({ weight: 4, arbitrary: change }, visit), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (schedule) => {
        const registry = new Registry<Item>();
        const set = new Set<Item>();
        for (const step of schedule) {
          const item = items[step.which]!;
          if (step.do === 'visit')
            assert.deepEqual(walk(registry, step.each, item), walk(set, step.each, item));
          else if (step.do === 'delete') assert.equal(registry.delete(item), set.delete(item));
          else {
            registry.add(item);
            set.add(item);
          }
          const names = (present: Iterable<Item>) => [...present].map(({ n }) => n);
          assert.deepEqual([registry.size, names(registry)], [set.size, names(set)]);
          assert.equal(registry.first, [...set][0]);
          for (const one of items) assert.equal(registry.has(one), set.has(one));
        }
      }),
      { seed, numRuns: 500 },
    );
  });

  it('lets the present object be removed while all are visited', () => {
    const registry = new Registry<object>();
    const items = [{}, {}, {}];
    items.forEach((item) => registry.add(item));
    const visited: object[] = [];
    for (const item of registry) {
      visited.push(item);
      registry.delete(item);
    }
    assert.deepEqual([visited, registry.size], [items, 0]);
  });

  it('keeps nothing that was removed in the old generation of the heap, which a Set does', () => {
    const registry = new Registry<object>();
    const present = Array.from({ length: 50 }, youngObject);
    present.forEach((item) => registry.add(item));
    // They get old.
    for (let n = 0; n < 50_000; n++) youngObject();
    const before = oldBytes();
    let most = before;
    for (let n = 0; n < 100_000; n++) {
      const at = n % present.length;
      registry.delete(present[at]!);
      present[at] = youngObject();
      registry.add(present[at]);
      if (n % 1000 === 0) most = Math.max(most, oldBytes());
    }
    assert.ok(most - before < 5_000_000, `${most - before} bytes`);
  });
});
