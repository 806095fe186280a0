import assert from 'node:assert/strict';
import { idempotencyKey } from '../../../server/http/idempotency-key.js';

describe('[HTTP] the header Idempotency-Key', () => {
  it('names the same key plain and in quotes', () => {
    for (const [header, key] of [
      ['order-7', 'order-7'],
      ['"order-7"', 'order-7'],
      ['"order-7";retry=2', 'order-7'],
      ['"a\\"b\\\\c"', 'a"b\\c'],
      ['a"b', 'a"b'],
      ['', ''],
    ] as const)
      assert.equal(idempotencyKey(header), key, header);
  });

  it('is refused if its quotes do not end', () => {
    for (const header of ['"order-7', '"', '"a"b', '"a\\b"', '"a" "b"'])
      assert.throws(() => idempotencyKey(header), { code: 'invalid_message' }, header);
  });
});
