import assert from 'node:assert/strict';
import { loadSettings, SettingsError } from '../../../server/config/load.js';
import { allowedOrigins, originOf } from '../../../server/config/origins.js';

describe('[CONFIG] origins', () => {
  it('become what browsers send, however they are written', () => {
    for (const [written, sent] of [
      ['https://app.example', 'https://app.example'],
      ['https://app.example/', 'https://app.example'],
      ['HTTPS://App.Example', 'https://app.example'],
      ['https://app.example:443', 'https://app.example'],
      ['http://app.example:80/', 'http://app.example'],
      ['http://localhost:3000', 'http://localhost:3000'],
      ['https://bücher.example', 'https://xn--bcher-kva.example'],
      ['http://[2001:DB8::1]:8080', 'http://[2001:db8::1]:8080'],
      ['capacitor://localhost', 'capacitor://localhost'],
      ['chrome-extension://abcdefgh', 'chrome-extension://abcdefgh'],
      ['null', 'null'],
      ['*', '*'],
    ] as const)
      assert.equal(originOf(written), sent, written);
  });

  it('that can never match are refused at the start, with the rule', () => {
    for (const written of [
      'app.example',
      'app.example:8080',
      'https://',
      'https://*.example',
      'https://app.example/page',
      'https://app.example?x',
      'https://user@app.example',
      'https://a.example https://b.example',
      'https://app.example:99999',
    ]) {
      const load = () => loadSettings({ RTC_WEBSOCKET_ALLOWED_ORIGINS: written });
      const isExplained = (error: unknown) =>
        error instanceof SettingsError &&
        /^websocket\.allowed_origins\[0\]: must be an origin such as .*RTC_WEBSOCKET_ALLOWED_ORIGINS/.test(
          error.message,
        );
      assert.throws(load, isExplained, written);
    }
  });

  it('may end with a comma in a variable', () => {
    const { websocket } = loadSettings({
      RTC_WEBSOCKET_ALLOWED_ORIGINS: 'https://a.example, https://B.example/,',
    });
    assert.deepEqual(allowedOrigins(websocket.allowedOrigins), ['https://a.example', 'https://b.example']);
  });
});
