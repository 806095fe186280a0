import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { silentLog } from '../../../server/logging/log.js';
import { ClientAddresses } from '../../../server/gateway/handshake/client-addresses.js';

describe('[LIMITS] the address of a client', () => {
  const addresses = new ClientAddresses(['loopback', '10.0.0.0/8'], silentLog);
  const of = (forwarded: string | string[], remoteAddress = '127.0.0.1') =>
    addresses.of({
      socket: { remoteAddress },
      headers: { 'x-forwarded-for': forwarded },
    } as unknown as IncomingMessage);

  it('has no port, no brackets and no zone, and one form', () => {
    for (const [forwarded, address] of [
      ['203.0.113.1', '203.0.113.1'],
      ['203.0.113.1:50001', '203.0.113.1'],
      ['2001:db8::1', '2001:db8::1'],
      ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
      ['[2001:db8::1]', '2001:db8::1'],
      ['[2001:db8::1]:443', '2001:db8::1'],
      ['"[2001:db8::1]:443"', '2001:db8::1'],
      ['fe80::1%eth0', 'fe80::1'],
      ['::ffff:198.51.100.7', '198.51.100.7'],
      ['::ffff:c633:6407', '198.51.100.7'],
      ['[::ffff:198.51.100.7]:1234', '198.51.100.7'],
    ] as const)
      assert.equal(of(forwarded), address, forwarded);
  });

  it('is the last one that is not a trusted proxy, with ports too', () => {
    assert.equal(of('192.0.2.9, 203.0.113.1:50001, 10.1.2.3:80'), '203.0.113.1');
    assert.equal(of(['192.0.2.9', '203.0.113.1, [::ffff:10.1.2.3]:80']), '203.0.113.1');
  });

  it('is that of the proxy where the header names none', () => {
    for (const forwarded of ['unknown', '_hidden', '', '203.0.113.1:port', '[2001:db8::1', '1.2.3:4'])
      assert.equal(of(forwarded), '127.0.0.1', forwarded);
    assert.equal(of('192.0.2.9, unknown, 10.1.2.3'), '10.1.2.3');
  });

  it('is the peer where the peer is not trusted', () => {
    assert.equal(of('203.0.113.1', '198.51.100.1'), '198.51.100.1');
    assert.equal(of('203.0.113.1', '::ffff:127.0.0.1'), '203.0.113.1');
  });
});
