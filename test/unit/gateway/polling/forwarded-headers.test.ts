import assert from 'node:assert/strict';
import {
  requestHeaders,
  responseHeaders,
  withoutToken,
} from '../../../../server/gateway/polling/forwarded-headers.js';

describe('what travels with a forwarded request', () => {
  it('is no token: neither in a header nor in the address', () => {
    const headers = ['Host', 'a', 'authorization', 'Bearer x', 'Proxy-Authorization', 'y', 'Cookie', 'c=1'];
    assert.deepEqual(requestHeaders(headers), ['Host', 'a', 'Cookie', 'c=1']);
    assert.equal(
      withoutToken('/socket.io/?token=x.y.z&EIO=4&token=q&sid=s'),
      '/socket.io/?token=&EIO=4&token=&sid=s',
    );
  });

  it('is nothing that belongs to one HTTP connection', () => {
    const headers = [
      'Connection',
      'close',
      'Transfer-Encoding',
      'chunked',
      'Content-Type',
      'text/plain',
      'Keep-Alive',
      '5',
    ];
    assert.deepEqual(requestHeaders(headers), ['Content-Type', 'text/plain']);
    assert.deepEqual(responseHeaders([...headers, 'Date', 'x', 'Set-Cookie', 'a', 'Set-Cookie', 'b']), [
      'Content-Type',
      'text/plain',
      'Set-Cookie',
      'a',
      'Set-Cookie',
      'b',
    ]);
  });
});
