import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { parse } from 'node:querystring';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ClientAddresses } from '../../../server/gateway/handshake/client-addresses.js';
import { GoneTransports } from '../../../server/gateway/polling/gone-transports.js';
import { silentLog } from '../../../server/logging/log.js';
import { ownText } from '../../../server/primitives/own-text.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Memory that is in use after something was kept, in bytes. */
function keptBytes(keep: () => unknown): number {
  collect();
  const before = process.memoryUsage().heapUsed;
  const kept = keep();
  collect();
  const bytes = process.memoryUsage().heapUsed - before;
  assert.notEqual(kept, undefined);
  return bytes;
}

const requests = 1000;
const junk = 16_000;
/** All requests together have sixteen times as much. */
const limitBytes = 1_000_000;
const read = (text: string) => Buffer.from(text, 'latin1').toString('latin1');

describe('what is kept of requests', () => {
  it('is as it was', () => {
    for (const text of ['', 'a', '203.0.113.195', 'ü€𐍈'.repeat(5)])
      assert.equal(ownText(`x${text}`.slice(1)), text);
  });

  it('does not hold their headers in memory: addresses that a proxy names', () => {
    const addresses = new ClientAddresses(['loopback'], silentLog);
    const bytes = keptBytes(() =>
      Array.from({ length: requests }, (_, n) => {
        const forwarded = read(`${'x'.repeat(junk)}, 203.0.${100 + (n % 100)}.195`);
        const request = { socket: { remoteAddress: '127.0.0.1' }, headers: { 'x-forwarded-for': forwarded } };
        return addresses.of(request as unknown as IncomingMessage);
      }),
    );
    assert.ok(bytes < limitBytes, `${bytes} bytes`);
  });

  it('does not hold their URLs in memory: the ids of transports that have ended', () => {
    const gone = new GoneTransports();
    const bytes = keptBytes(() => {
      for (let n = 0; n < requests; n++) {
        const query = read(`EIO=4&sid=${String(n).padStart(20, 'A')}&t=${'x'.repeat(junk)}`);
        gone.add(parse(query)['sid'] as string);
      }
      return gone;
    });
    assert.ok(bytes < limitBytes, `${bytes} bytes`);
    assert.equal(gone.has('7'.padStart(20, 'A')), true);
  });
});
