import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compileTopicPattern } from '../../../shared/topic-name.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

describe(`[AUTH] topic patterns (seed ${seed})`, () => {
  it('match like the equivalent regular expressions', () => {
    const text = (letters: string[]) => fc.array(fc.constantFrom(...letters), { maxLength: 8 });
    fc.assert(
      fc.property(text(['a', 'b', '.', '*']), text(['a', 'b', '.']), (pattern, topic) => {
        const source = pattern.map((letter) => (letter === '*' ? '.*' : letter === '.' ? '\\.' : letter));
        const expected = new RegExp(`^${source.join('')}$`).test(topic.join(''));
        assert.equal(compileTopicPattern(pattern.join(''))(topic.join('')), expected);
      }),
      { seed, numRuns: 5000 },
    );
  });

  it('take linear time, however many stars they have', () => {
    const matches = compileTopicPattern(`${'a*'.repeat(90)}b*a`);
    const startedAt = performance.now();
    for (let n = 0; n < 1000; n++) assert.equal(matches('a'.repeat(200)), false);
    assert.ok(performance.now() - startedAt < 1000);
  });
});
