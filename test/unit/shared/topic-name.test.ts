import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import { readTopicName } from '../../../shared/topic-name.js';

describe('[WIRE] a topic name', () => {
  it('may hold letters, digits and some signs', () => {
    for (const name of ['a', '...', '.a', '../a', 'orders.eu:1/x@y+z=~-_', 'x'.repeat(200)])
      assert.equal(readTopicName(name, 'topic'), name);
  });

  const characters = 'topic may hold only ASCII letters, digits and _ . : / @ + = ~ -';
  const cases: [name: unknown, message: string][] = [
    ['$user/ann', 'topic must not begin with $: such names are reserved for the service'],
    ['$', 'topic must not begin with $: such names are reserved for the service'],
    ['__proto__', 'topic must not be __proto__: this name is reserved'],
    ['.', 'topic must not be .: this name is reserved'],
    ['..', 'topic must not be ..: this name is reserved'],
    ['a$b', characters],
    ['two words', characters],
    ['ü', characters],
    ['news.*', characters],
    ['', 'topic must have 1 to 200 characters'],
    ['x'.repeat(201), 'topic must have 1 to 200 characters'],
    [5, 'topic must be a string'],
  ];
  for (const [name, message] of cases) {
    it(`is refused with the reason: ${JSON.stringify(name).slice(0, 20)}`, () => {
      assert.throws(
        () => readTopicName(name, 'topic'),
        (error) =>
          error instanceof RefusalError &&
          error.code === 'invalid_topic' &&
          error.message === message &&
          error.toWire().field === 'topic',
      );
    });
  }
});
