import assert from 'node:assert/strict';
import { HandshakesOverShare } from '../../../server/gateway/handshake/handshakes-over-share.js';

describe('[LIMITS] handshakes of addresses that are over their shares of unfinished messages', () => {
  it('are served every 25 ms, and those of others at any time', () => {
    let now = 1000;
    const over = ['192.0.2.1', '192.0.2.2'];
    const handshakes = new HandshakesOverShare({
      now: () => now,
      isOver: (address) => over.includes(address),
    });
    handshakes.served('192.0.2.3');
    assert.ok(handshakes.hasTurn('192.0.2.1'));
    handshakes.served('192.0.2.1');
    now += 24;
    assert.ok(!handshakes.hasTurn('192.0.2.1'));
    assert.ok(!handshakes.hasTurn('192.0.2.2'), 'together');
    assert.ok(handshakes.hasTurn('192.0.2.3'));
    now += 1;
    assert.ok(handshakes.hasTurn('192.0.2.2'));
    handshakes.served('192.0.2.2');
    assert.ok(!handshakes.hasTurn('192.0.2.1'));
    over.shift();
    assert.ok(handshakes.hasTurn('192.0.2.1'), 'it is not over its share any more');
  });
});
