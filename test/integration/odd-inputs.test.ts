import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import WebSocket from 'ws';
import { connectClient, emit, JsonClient } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { PacketClient } from '../support/packet-client.js';
import { secret, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

/** Packets of the Socket.IO protocol that a client may send, each on a connection of its own. */
const packets: readonly string[] = [
  ...[
    'connect',
    'connect_error',
    'disconnect',
    'disconnecting',
    'newListener',
    'removeListener',
    'error',
  ].map((name) => `42["${name}",{"message":"x"}]`),
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', 'message', 'status'].flatMap((name) => [
    `42["${name}",{}]`,
    `421["${name}",{}]`,
  ]),
  '42[5,{}]',
  '42[null]',
  '42[{}]',
  '42[]',
  '42',
  `42${'9'.repeat(400)}["ping",{}]`,
  `42${'9'.repeat(25)}["publish",{"topic":"t","payload":1}]`,
  '422147483648["ping",{}]',
  '43',
  '4399["x"]',
  '431[null]',
  `43${'9'.repeat(400)}[]`,
  '44{"message":"x"}',
  '451-["publish",{"topic":"t","payload":{"_placeholder":true,"num":5}}]',
  '451-["x",{"_placeholder":true,"num":"__proto__"}]',
  '45-1-["x"]',
  '4599999-["x"]',
  '461-1[{"_placeholder":true,"num":0}]',
  '47',
  '49["x"]',
  '4',
  '40',
  '40{"token":5}',
  '40/app,',
  '40/app,{"token":{"toString":1}}',
  '40/app,{"__proto__":{"token":"x"}}',
  '40/__proto__,{}',
  '40/nowhere,{}',
  '41/app,',
  '42/app,["data"]',
  '421/app,["say","x"]',
  '421["subscribe",{"topics":["\\ud800"]}]',
  '421["subscribe",{"topics":["__proto__"],"since":{"__proto__":{"epoch":"x","sequence":1}}}]',
  '421["direct",{"to":"\\ud800","payload":1,"confirm":"stored"}]',
  '421["presence",{"topic":"\\ud800"}]',
  '421["publish",{"topic":"t","payload":"\\ud800","key":"\\ud800"}]',
  '421["publish",{"__proto__":{"topic":"t"},"payload":1}]',
  '421["missed",{"since":"00000000-0000-7000-8000-000000000000","session_id":"\\ud800"}]',
  '421["refresh",{"token":"\\ud800.\\ud800.\\ud800"}]',
  '41',
];

/** A token with a user id or roles as they are, without the checks of a library. */
function rawToken(claims: string): string {
  const part = (text: string) => Buffer.from(text).toString('base64url');
  const signed = `${part('{"alg":"HS256"}')}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

const tokens = [
  '{"sub":"a\\ud800","roles":["user"]}',
  '{"sub":"\\udc00\\ud800"}',
  '{"sub":"__proto__","roles":["__proto__","constructor"]}',
  '{"sub":"ann","roles":["\\ud800"],"topics":["__proto__","a*"]}',
  '{"sub":"ann","jti":"\\ud800","fam":"\\ud800"}',
  '{"sub":"ann","exp":1e308}',
  '{"sub":"ann","__proto__":{"roles":["admin"]}}',
].map(rawToken);

// Mocha fails a test during which there is an uncaught exception or an unhandled rejection.
describe('[EMBED] a program goes on, whatever its clients send', () => {
  let embedded: EmbeddedService;

  before(async () => {
    embedded = await startEmbedded({ LOG_LEVEL: 'off' });
    const { io } = embedded.service;
    io.of('/app').on('connection', (socket) => socket.on('say', (_text, reply: () => void) => reply()));
    io.of(/^\/any-/).on('connection', () => {});
  });
  afterEach(async () => {
    const client = await connectClient(embedded.url, 'still there');
    assert.equal((await emit(client, 'publish', { topic: 'alive', payload: 1 })).ok, true);
    client.disconnect();
  });
  after(() => embedded.service.close());

  it('in packets of Socket.IO, joined or not', async () => {
    for (const joined of [true, false]) {
      for (const packet of packets) {
        const client = await PacketClient.open(embedded.url);
        if (joined) await client.join('odd');
        client.send(packet, packet);
        // Answered or closed: the packets before it have been read.
        client.send('429["ping",{}]');
        if (joined)
          await until(
            () => client.of('439[').length > 0 || client.closeCode !== undefined,
            `an answer or a close after ${packet.slice(0, 60)}`,
          );
        client.close();
      }
    }
  });

  it('in joins of several namespaces, again and again', async () => {
    const client = await PacketClient.open(embedded.url);
    await client.join('odd');
    const join = `40/app,${JSON.stringify({ token: tokenOf('odd') })}`;
    client.send(join, join, '41/app,', join, '41/app,', '41/app,', '40/any-1,', '41/any-1,', '41', join);
    await until(() => client.of('40/app').length > 0 || client.closeCode !== undefined, 'it has joined');
    client.close();
  });

  it('in tokens, on both wires and in its own namespaces', async () => {
    for (const token of tokens) {
      for (const namespace of ['', '/app,']) {
        const client = await PacketClient.open(embedded.url);
        client.send(`40${namespace}${JSON.stringify({ token })}`);
        await until(
          () => client.packets.some((packet) => /^4[04]/.test(packet)) || client.closeCode !== undefined,
          'an answer or a close',
        );
        client.close();
      }
      const webSocket = new WebSocket(`${embedded.webSocketUrl}?token=${token}&session_id=%ED%A0%80`);
      let done = false;
      for (const event of ['message', 'error', 'close']) webSocket.on(event, () => (done = true));
      await until(() => done, 'an answer or a close');
      webSocket.terminate();
    }
  });

  it('in frames of /ws', async () => {
    const client = new JsonClient(embedded.webSocketUrl, 'odd');
    await until(() => client.of('Status').length === 1, 'connected');
    const types = [
      '__proto__',
      'constructor',
      'toString',
      'Error',
      '',
      'Subscribe',
      'Broadcast',
      'Ack',
      'GetPresence',
    ];
    for (const type of types)
      for (const data of [
        null,
        5,
        [],
        { topics: ['\ud800'] },
        { message_id: '__proto__' },
        { topic: '\ud800' },
      ])
        client.send({ type, data, id: '\ud800' });
    for (const text of ['null', '[]', '5', '"x"', '{', '{"type":{}}', '{"type":"Ping","id":{}}'])
      client.webSocket.send(text);
    client.send({ type: 'Ping', id: 'last', data: {} });
    await until(() => client.frames.some(({ id }) => id === 'last'), 'the last frame is answered');
    client.close();
  });
});
