import assert from 'node:assert/strict';
import type { Socket } from 'socket.io';
import { RefusalError } from '../../../shared/errors.js';
import { tokenOfRequest, tokenOfSocket } from '../../../server/gateway/handshake/token.js';

type Handshake = Socket['handshake'];

const tokenOf = ({
  auth = {},
  headers = {},
  query = {},
}: Partial<Pick<Handshake, 'auth' | 'headers' | 'query'>>): string =>
  tokenOfSocket({
    handshake: { auth, headers, query } as Handshake,
    request: { headers, rawHeaders: Object.entries(headers).flat() } as Socket['request'],
  });

describe('[AUTH] the token of a Socket.IO client', () => {
  it('is auth.token, else the one of the header, else the one of the query', () => {
    const headers = { authorization: 'Bearer h' };
    const query = { token: 'q' };
    assert.equal(tokenOf({ auth: { token: 'a' }, headers, query }), 'a');
    assert.equal(tokenOf({ auth: { token: 'Bearer a' } }), 'a');
    assert.equal(tokenOf({ headers, query }), 'h');
    assert.equal(tokenOf({ query }), 'q');
    for (const token of ['', null, undefined]) assert.equal(tokenOf({ auth: { token }, headers }), 'h');
  });

  it('is asked for, with how to give it, where there is none', () => {
    const message =
      'no token: give it as auth.token (io(url, { auth: { token } })), as an Authorization header or as ?token=';
    for (const auth of [{}, { token: '' }, { token: null }])
      assert.throws(() => tokenOf({ auth, query: { token: '' } }), new RefusalError('unauthorized', message));
  });

  it('is not guessed where the query has it twice and it is needed', () => {
    const query = { token: ['a', 'b'] } as unknown as Handshake['query'];
    const refusal = new RefusalError('invalid_message', '?token= is there more than once', {
      field: 'token',
    });
    assert.throws(() => tokenOf({ query }), refusal);
    assert.equal(tokenOf({ query, auth: { token: 't' } }), 't');
    const request = { headers: {}, rawHeaders: [], url: '/socket.io/?token=a&token=b' } as unknown;
    assert.throws(() => tokenOfRequest({}, request as Socket['request']), refusal);
  });

  it('has to be text', () => {
    for (const token of [5, {}, ['t']])
      assert.throws(
        () => tokenOf({ auth: { token } }),
        new RefusalError('unauthorized', 'auth.token must be a string', { field: 'auth.token' }),
      );
  });
});
