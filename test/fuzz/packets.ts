import fc from 'fast-check';
import { anyJson, damaged, mostly, weighted } from './generators.js';
import { authText, commandAndRequest } from './commands.js';

const ackId = mostly(
  fc.nat(30).map(String),
  fc.constantFrom('', '2147483647', '2147483648', '9'.repeat(400), '-1', '1e5'),
);

/** An event with a command and an acknowledgement id. */
export const commandPacket = fc
  .tuple(
    commandAndRequest,
    ackId,
    mostly(
      fc.constant(''),
      anyJson.map((value) => `,${value}`),
    ),
  )
  .map(([[command, request], id, more]) => `42${id}[${JSON.stringify(command)},${request}${more}]`);

/** Packets that are not commands. */
export const otherPacket = weighted(
  [
    3,
    fc.constantFrom(
      '3',
      '2',
      '2probe',
      '5',
      '6',
      '1',
      '4',
      '',
      '9',
      'b',
      'bAAEC',
      'b!!',
      '0{}',
      '40',
      '41',
      '44{}',
    ),
  ],
  [
    2,
    fc
      .tuple(fc.constantFrom('0', '1', '2', '3', '4', '5', '6'), fc.nat(9), anyJson)
      .map(([type, id, value]) => `4${type}${id}${value}`),
  ],
  [
    1,
    fc.constantFrom(
      '43[]',
      '430[]',
      '431099511627777[]',
      '431e400[]',
      '43-1[]',
      '40/x,',
      '41/x,',
      '42/x,1["a"]',
      '46-1[]',
    ),
  ],
  [1, authText.map((auth) => `40${auth}`)],
);

/** The packet by which a client joins. */
export const joinPacket = authText.map((auth) => `40${auth}`);

/** A command packet with damage, as bytes. */
export const damagedPacket = damaged(commandPacket);

/** An event that announces binary parts. */
export const binaryPacket = fc
  .tuple(
    mostly(fc.constantFrom('1', '2'), fc.constantFrom('0', '11', '999999', '-1', '')),
    fc.nat(30),
    mostly(
      fc.constantFrom(
        '{"_placeholder":true,"num":0}',
        '[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
      ),
    ),
  )
  .map(([parts, id, payload]) => `45${parts}-${id}["publish",{"topic":"a","payload":${payload}}]`);
