/** First character of a packet of Engine.IO. */
export const enginePackets = { binaryPart: 0x62, pong: 0x33, message: 0x34 } as const;

/** First character of a packet of Socket.IO, which follows the `4` of Engine.IO. */
export const socketPackets = {
  joining: 0x30,
  leaving: 0x31,
  event: 0x32,
  binaryEvent: 0x35,
  binaryAck: 0x36,
} as const;
