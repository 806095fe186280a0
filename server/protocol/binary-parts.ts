import type { Wire } from './connection.js';

/** The parsers of Socket.IO's clients refuse packets with more binary parts, and close the connection. */
export const binaryPartsPerPacket = 10;

/** Binary parts that one answer may have on a wire. On the JSON wires they are text. */
export function binaryPartsLimit(wire: Wire): number {
  return wire === 'json' ? Infinity : binaryPartsPerPacket;
}
