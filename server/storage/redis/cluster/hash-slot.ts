/** The slots of a Redis Cluster. */
export const slotCount = 16_384;

/** CRC16 of the XMODEM form, as the specification of Redis Cluster has it. */
const crcTable = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc & 0xffff;
});

/**
 * The slot of a key or channel: that of its hash tag, the text between the first `{` and the `}` after it, if there is
 * any text. The library computes it too, but does not export it.
 */
export function hashSlot(name: string): number {
  const open = name.indexOf('{');
  const close = open < 0 ? -1 : name.indexOf('}', open + 1);
  const tag = close > open + 1 ? name.slice(open + 1, close) : name;
  let crc = 0;
  for (let i = 0; i < tag.length; i++) {
    const code = tag.charCodeAt(i);
    if (code > 0x7f) return slotOfBytes(Buffer.from(tag));
    crc = ((crc << 8) & 0xffff) ^ crcTable[(crc >> 8) ^ code]!;
  }
  return crc % slotCount;
}

function slotOfBytes(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ crcTable[(crc >> 8) ^ byte]!;
  return crc % slotCount;
}
