import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import { wireErrorOf } from '../../../server/http/errors.js';

describe('[HTTP] what a route throws', () => {
  const codeOf = (code: string) => wireErrorOf(Object.assign(new Error('x'), { code })).code;

  it('is no bug if the connection has ended, or its client has sent what is no HTTP behind the request', () => {
    for (const code of ['ECONNRESET', 'HPE_INVALID_CONTENT_LENGTH', 'HPE_HEADER_OVERFLOW'])
      assert.equal(codeOf(code), 'invalid_message', code);
  });

  it('is a bug otherwise, unless it is a refusal', () => {
    for (const code of ['ENOENT', 'EPIPE', 'ERR_INVALID_ARG_TYPE', 'XHPE_X'])
      assert.equal(codeOf(code), 'internal', code);
    assert.equal(wireErrorOf(new RefusalError('busy', 'x')).code, 'busy');
  });
});
