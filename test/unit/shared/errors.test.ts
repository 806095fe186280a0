import assert from 'node:assert/strict';
import { errorTable, retryAfterSecs, type ErrorCode } from '../../../shared/errors.js';

describe('[ERR] an error over HTTP', () => {
  const codes = Object.keys(errorTable) as ErrorCode[];

  it('tells with every 503 after how many seconds to try again', () => {
    for (const code of codes.filter((one) => errorTable[one].http === 503))
      assert.ok(retryAfterSecs({ code, message: '' })! >= 1, code);
  });

  it('gives its own time if it has one, in whole seconds', () => {
    for (const code of codes)
      assert.equal(retryAfterSecs({ code, message: '', retry_after_ms: 1200 }), 2, code);
  });

  it('tells no time where a repetition does not help', () => {
    assert.equal(retryAfterSecs({ code: 'forbidden', message: '' }), undefined);
  });
});
