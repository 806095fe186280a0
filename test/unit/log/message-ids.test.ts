import assert from 'node:assert/strict';
import { newMessageIds } from '../../../server/log/message-ids.js';

describe('Message ids', () => {
  it('have random bytes of their own, however many are made at once', () => {
    const newId = newMessageIds(() => 1_700_000_000_000);
    const tails = Array.from({ length: 3000 }, () => newId().slice(-12));
    assert.equal(new Set(tails).size, tails.length);
  });
});
