import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { requireLocalPage } from '../../../server/http/pages/local-page.js';
import { RefusalError } from '../../../shared/errors.js';

const own = { host: 'localhost:8081', origin: 'http://localhost:8081', 'sec-fetch-site': 'same-origin' };

const ask = (headers: Record<string, string | undefined>, remoteAddress: string | undefined = '127.0.0.1') =>
  requireLocalPage({
    headers: Object.fromEntries(
      Object.entries({ ...own, ...headers }).filter(([, value]) => value !== undefined),
    ),
    socket: { remoteAddress },
  } as unknown as IncomingMessage);
const isForbidden = (error: unknown) => error instanceof RefusalError && error.code === 'forbidden';

describe('[SECURITY] what only the own page of a browser on this machine may ask for', () => {
  it('is given to it, by each name and address of this machine', () => {
    for (const host of ['localhost:8081', 'LOCALHOST:1', '127.0.0.1:8081', '[::1]:8081', 'localhost'])
      for (const address of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1'])
        ask({ host, origin: `http://${host}` }, address);
    ask({ 'sec-fetch-site': undefined });
  });

  it('is not given to other machines', () => {
    for (const address of ['10.0.0.1', '172.17.0.1', '::ffff:10.0.0.1', 'fe80::1', '::', ''])
      assert.throws(() => ask({}, address), isForbidden, address);
  });

  it('is not given to clients of a proxy or tunnel on this machine', () => {
    for (const name of [
      'x-forwarded-for',
      'forwarded',
      'via',
      'x-real-ip',
      'x-forwarded-host',
      'cf-connecting-ip',
    ])
      assert.throws(() => ask({ [name]: '1.2.3.4' }), isForbidden, name);
  });

  it('is not given to a site whose name points to this machine', () => {
    for (const host of [
      'evil.example:8081',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'evil.example#localhost',
      'localhost:8081@evil.example',
      '0.0.0.0:8081',
      '',
    ])
      assert.throws(() => ask({ host, origin: `http://${host}` }), isForbidden, host);
    assert.throws(() => ask({ host: undefined }), isForbidden);
  });

  it('is not given to pages of other origins, other ports of this machine included, nor to programs', () => {
    for (const origin of [
      'http://localhost:3000',
      'https://localhost:8081',
      'http://evil.example',
      'null',
      '',
      undefined,
    ])
      assert.throws(() => ask({ origin }), isForbidden, origin);
    for (const site of ['cross-site', 'same-site', 'none'])
      assert.throws(() => ask({ 'sec-fetch-site': site }), isForbidden, site);
  });
});
