import assert from 'node:assert/strict';
import { RefusalError } from '../../../shared/errors.js';
import {
  selectProtocol,
  tokenOfProtocols,
  withoutProtocolToken,
} from '../../../server/protocol/token-protocol.js';

const token = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl-_';

describe('[AUTH] a token in Sec-WebSocket-Protocol', () => {
  it('is read wherever it stands in the header', () => {
    for (const header of [
      `rtc, rtc.token.${token}`,
      `rtc.token.${token},rtc`,
      `json,rtc.token.${token} ,rtc`,
    ])
      assert.equal(tokenOfProtocols(header), token, header);
    for (const header of [undefined, '', 'rtc', 'json, rtc.tokens'])
      assert.equal(tokenOfProtocols(header), undefined);
  });

  it('is refused with the reason where it cannot be used', () => {
    for (const [header, problem] of [
      ['rtc, rtc.token.', /the token is empty/],
      ['rtc, rtc.token.a b', /not a JWT/],
      ['rtc, rtc.token."x"', /not a JWT/],
      ['rtc, rtc.token.a..b', /not a JWT/],
      [`rtc, rtc.token.${token}, rtc.token.${token}`, /more than one token/],
      [`rtc.token.${token}`, /the protocol rtc is missing/],
    ] as const)
      assert.throws(
        () => tokenOfProtocols(header),
        (error: unknown) => {
          assert.ok(error instanceof RefusalError);
          assert.equal(error.code, 'unauthorized');
          assert.match(error.message, problem);
          assert.ok(!error.message.includes(token), 'the message does not repeat the token');
          return true;
        },
      );
  });

  it('is never selected for the answer', () => {
    assert.equal(selectProtocol(new Set([`rtc.token.${token}`, 'json', 'rtc'])), 'rtc');
    assert.equal(selectProtocol(new Set([`rtc.token.${token}`, 'json'])), 'json');
    assert.equal(selectProtocol(new Set([`RTC.Token.${token}`])), false);
    assert.equal(selectProtocol(new Set(['json', 'xml'])), 'json');
  });

  it('is left out of the header that is kept', () => {
    assert.equal(withoutProtocolToken(`rtc, rtc.token.${token}`), 'rtc');
  });
});
