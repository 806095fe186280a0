import assert from 'node:assert/strict';
import { cleanFields } from '../../../server/logging/log-fields.js';

describe('[LOG] fields of the log', () => {
  it('are written whatever they are: what cannot be shown is named so, beside what can', () => {
    const trap = () => {
      throw new Error('trap');
    };
    const unreadable = new Error('unreadable');
    Object.defineProperty(unreadable, 'message', { get: trap });
    const fields = cleanFields({
      error: unreadable,
      proxy: new Proxy({}, { ownKeys: trap }),
      nested: { getter: Object.defineProperty({}, 'a', { get: trap, enumerable: true }), kept: 1 },
      withoutMessage: Object.assign(new Error('x'), { message: 5 }),
      bare: Object.create(null) as object,
    });
    assert.deepEqual(JSON.parse(JSON.stringify(fields)), {
      error: '[cannot be shown]',
      proxy: '[cannot be shown]',
      nested: { getter: '[cannot be shown]', kept: 1 },
      withoutMessage: '[cannot be shown]',
      bare: {},
    });
  });

  it('are not written by a function of their own', () => {
    const error = Object.assign(new Error('x'), { toJSON: () => ({ password: 'secret' }) });
    assert.doesNotMatch(JSON.stringify(cleanFields({ error })), /secret/);
  });
});
