import assert from 'node:assert/strict';
import { thrownText } from '../../../server/primitives/thrown-text.js';

describe('[EMBED] what a program throws, as text', () => {
  it('is the message of an error, else the value as text', () => {
    assert.equal(thrownText(new Error('broken')), 'broken');
    assert.equal(thrownText('broken'), 'broken');
    assert.equal(thrownText(null), 'null');
    assert.equal(thrownText(undefined), 'undefined');
    assert.equal(thrownText(Symbol('s')), 'Symbol(s)');
  });

  it('is always text, also of what has none', () => {
    const hostile = [
      Object.create(null),
      JSON.parse('{"toString":1,"valueOf":1}'),
      Object.assign(new Error(), { message: { toString: null } }),
      new Proxy(new Error(), {
        get() {
          throw new Error('trap');
        },
      }),
    ];
    for (const thrown of hostile) assert.equal(thrownText(thrown), 'something was thrown that has no text');
    assert.equal(thrownText(Object.assign(new Error(), { message: 5 })), '5');
  });
});
