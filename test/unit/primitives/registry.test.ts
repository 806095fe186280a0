import assert from 'node:assert/strict';
import { Registry } from '../../../server/primitives/registry.js';
import { oldBytes, youngObject } from '../../support/old-generation.js';

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
