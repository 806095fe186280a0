import assert from 'node:assert/strict';
import { placesOf, UnjoinedClients } from '../../../server/gateway/handshake/unjoined-clients.js';

/** What a browser and a proxy send with the upgrade of a WebSocket. */
const browserHeaders: readonly string[] = Object.entries({
  Host: 'chat.example.com',
  Connection: 'Upgrade',
  Pragma: 'no-cache',
  'Cache-Control': 'no-cache',
  'User-Agent':
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36',
  Upgrade: 'websocket',
  Origin: 'https://chat.example.com',
  'Sec-WebSocket-Version': '13',
  'Accept-Encoding': 'gzip, deflate, br, zstd',
  'Accept-Language': 'en-GB,en;q=0.9,de;q=0.8',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
  'X-Forwarded-For': '2001:db8:85a3:8d3:1319:8a2e:370:7348',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'chat.example.com',
}).flat();

describe('[LIMITS] clients that have not joined', () => {
  it('have room for a limited number, and for half of it from one address', () => {
    const clients = new UnjoinedClients({ now: () => 0 }, { limit: 4 });
    clients.add('a');
    clients.add('a');
    assert.deepEqual(
      [clients.hasRoom('a'), clients.hasRoom('b'), clients.hasRoom(undefined)],
      [false, true, true],
    );
    clients.add('b');
    // A client that is not limited by address counts for all together.
    clients.add(undefined);
    assert.deepEqual([clients.hasRoom('b'), clients.hasRoom(undefined)], [false, false]);
    clients.remove('a');
    assert.deepEqual([clients.hasRoom('a'), clients.hasRoom('b')], [true, true]);
  });

  it('are not limited if the limit is 0', () => {
    const clients = new UnjoinedClients({ now: () => 0 }, { limit: 0 });
    for (let n = 0; n < 5000; n++) clients.add('a');
    assert.ok(clients.hasRoom('a'));
  });

  it('take more room where their handshakes have large heads', () => {
    const head = (url: string, ...rawHeaders: string[]) => placesOf({ url, rawHeaders });
    assert.equal(head('/socket.io/', 'Cookie', 'c'.repeat(1500)), 1);
    assert.equal(head(`/socket.io/${'x'.repeat(5000)}`, 'Host', 'x'), 3);
    assert.equal(head('/ws', 'Cookie', 'c'.repeat(8000), 'X-Long', 'x'.repeat(8000)), 8);
    // Of a browser, behind a proxy, with a token of 1 KiB.
    assert.equal(head(`/ws?token=${'t'.repeat(1024)}`, ...browserHeaders), 1);

    let closed = 0;
    const clients = new UnjoinedClients({ now: () => 0 }, { limit: 8 });
    const transport = { close: () => closed++ };
    clients.add('a', 3);
    assert.ok(clients.hasRoom('a'));
    clients.add('a', 3);
    assert.equal(clients.hasRoom('a'), false);
    clients.transportOpened(transport, 'a', 3);
    clients.remove('a', 3);
    clients.add('b', 4);
    assert.deepEqual([clients.hasRoom('a'), clients.hasRoom('c')], [true, true]);
    clients.add('c');
    assert.equal(clients.hasRoom('c'), false);
    clients.removeTransport(transport);
    assert.deepEqual([clients.hasRoom('a'), clients.hasRoom('b'), clients.hasRoom('c')], [true, false, true]);
    assert.equal(closed, 0);
  });

  it('with large heads take no more room than others by taking the places of small ones', () => {
    let now = 0;
    const held: { readonly places: number }[] = [];
    const clients = new UnjoinedClients({ now: () => now }, { limit: 40 });
    const open = (places: number) => {
      if (!clients.hasRoom('a')) return;
      clients.add('a', places);
      const transport = {
        places,
        close: () => {
          clients.removeTransport(transport);
          held.splice(held.indexOf(transport), 1);
        },
      };
      clients.transportOpened(transport, 'a', places);
      held.push(transport);
    };
    for (let n = 0; n < 20; n++) open(1);
    assert.equal(held.length, 20);
    for (let n = 0; n < 40; n++) {
      now += n < 20 ? 2000 : 100;
      open(4);
      const places = held.reduce((sum, transport) => sum + transport.places, 0);
      assert.ok(places < 20 + 4, `${places}`);
    }
    assert.ok(held.every(({ places }) => places === 4));
  });

  it('make room for others, the longest waiting first, once they have had time to join', () => {
    let now = 0;
    const clients = new UnjoinedClients({ now: () => now }, { limit: 4 });
    const closed: string[] = [];
    const open = (name: string, address: string) => {
      clients.add(address);
      const transport = {
        close() {
          closed.push(name);
          clients.removeTransport(transport);
        },
      };
      clients.transportOpened(transport, address);
    };
    open('a1', 'a');
    now = 100;
    open('b1', 'b');
    open('b2', 'b');
    open('a2', 'a');
    assert.deepEqual([clients.hasRoom('a'), clients.hasRoom('c')], [false, false]);
    now = 1050;
    // One address makes room for itself alone, also where another has waited longer.
    assert.deepEqual([clients.hasRoom('b'), clients.hasRoom('a'), clients.hasRoom('c')], [false, true, true]);
    open('c1', 'c');
    assert.deepEqual(closed, ['a1']);
    now = 1200;
    open('b3', 'b');
    open('c2', 'c');
    assert.deepEqual(closed, ['a1', 'b1', 'b2']);
  });
});
