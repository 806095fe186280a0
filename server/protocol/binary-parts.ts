/** The parsers of Socket.IO's clients refuse packets with more binary parts, and close the connection. */
export const binaryPartsPerPacket = 10;
